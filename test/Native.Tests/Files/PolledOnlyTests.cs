using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>What the kernel tells of itself: pressure, the attributes of its objects, and netlink.</summary>
public sealed class PolledOnlyTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task A_pressure_that_was_asked_about_is_told()
    {
        const string Path = "/proc/pressure/cpu";
        Assert.SkipUnless(File.Exists(Path), "The kernel does not measure pressure.");
        await using var file = NetpollFile.Open(Path, FileAccess.ReadWrite, SuiteBackend.Files);
        try
        {
            // 1 ms of 2 s, the shortest time without CAP_SYS_RESOURCE.
            await file.WriteAsync("some 1000 2000000\0"u8.ToArray());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Assert.Skip($"A trigger on {Path} is refused: {e.Message}");
        }

        using CancellationTokenSource told = new();
        List<Thread> threads = [];
        for (int i = 0; i < 2 * Environment.ProcessorCount; i++)
        {
            Thread thread = new(() => ComputeUntil(told.Token)) { IsBackground = true };
            thread.Start();
            threads.Add(thread);
        }

        try
        {
            await file.WaitPriorityAsync();
        }
        finally
        {
            await told.CancelAsync();
            threads.ForEach(static thread => thread.Join());
        }
    }

    /// <summary>A control group's files and those of sysfs are one kind of file to the kernel (kernfs).</summary>
    [Fact(Timeout = Waits.Limit)]
    public async Task A_change_of_an_attribute_is_told_once_it_has_been_read()
    {
        string? parent = new[] { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" }
            .FirstOrDefault(static folder => File.Exists(Path.Combine(folder, "cgroup.controllers")));
        Assert.SkipUnless(parent is not null && Environment.IsPrivilegedProcess, "A control group of version 2 takes root.");
        string group = Path.Combine(parent, $"netpoll-attribute-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(group);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Assert.Skip($"A control group cannot be made: {e.Message}");
        }

        try
        {
            await using var file = NetpollFile.Open(Path.Combine(group, "cgroup.events"), FileAccess.Read, SuiteBackend.Files);
            Assert.False(file.IsPollable);
            Assert.Contains("populated 0", Encoding.UTF8.GetString(await file.ReadSomeAsync()), StringComparison.Ordinal);
            Task wait = file.WaitPriorityAsync().AsTask();
            await Waits.AssertPendingAsync(wait);
            using var member = Process.Start("sleep", ["60"]);
            try
            {
                string id = member.Id.ToString(CultureInfo.InvariantCulture);
                await File.WriteAllTextAsync(Path.Combine(group, "cgroup.procs"), id);
                await wait;
            }
            finally
            {
                member.Kill();
                await member.WaitForExitAsync();
            }
        }
        finally
        {
            await Waits.UntilAsync(() => TryDelete(group));
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Netlink_answers()
    {
        const int Netlink = 16;
        const int Datagram = 2;
        const short GetLink = 18;
        const short NewLink = 16;
        const short RequestDump = 0x301;
        SyscallResult created = SystemCalls.Instance.Socket(Netlink, Datagram | LibC.SOCK_CLOEXEC, 0);
        Assert.SkipUnless(created.IsSuccess, $"There are no netlink sockets here: {created.Errno}.");
        await using var file = NetpollFile.FromHandle(FileLibC.ToHandle(created.Value), SuiteBackend.Files);
        Task wait = file.WaitReadableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);

        // struct nlmsghdr and struct rtgenmsg: all interfaces, please.
        byte[] request = new byte[20];
        MemoryMarshal.Write(request, request.Length);
        MemoryMarshal.Write(request.AsSpan(4), GetLink);
        MemoryMarshal.Write(request.AsSpan(6), RequestDump);
        await file.WriteAsync(request);

        await wait;
        byte[] answer = new byte[64 * 1024];
        int length = await file.ReadAsync(answer);
        Assert.InRange(length, request.Length, answer.Length);
        Assert.Equal(NewLink, MemoryMarshal.Read<short>(answer.AsSpan(4)));
    }

    private static void ComputeUntil(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            Thread.SpinWait(100);
        }
    }

    private static bool TryDelete(string group)
    {
        try
        {
            Directory.Delete(group);
            return true;
        }
        catch (IOException)
        {
            // What was killed is a member until it has been waited for.
            return false;
        }
    }
}
