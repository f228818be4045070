using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Pseudo-terminals, pipes for child processes, how far a write got, and files that nobody disposes of.</summary>
[Collection(nameof(Alone))]
public sealed class ReachTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task A_pseudo_terminal_comes_with_both_sides_and_the_terminals_path()
    {
        Assert.SkipUnless(File.Exists("/dev/ptmx") && Directory.Exists("/dev/pts"), "There are no pseudo-terminals here.");
        NetpollFile.OpenPseudoTerminal(out NetpollFile master, out NetpollFile terminal);
        await using (master)
        await using (terminal)
        {
            Assert.StartsWith("/dev/pts/", terminal.Name, StringComparison.Ordinal);
            Task<byte[]> line = terminal.ReadSomeAsync();
            await master.WriteAsync("typed\n"u8.ToArray());
            Assert.Equal("typed\n", Encoding.UTF8.GetString(await line));
            Assert.Equal("typed\r\n", Encoding.UTF8.GetString(await master.ReadExactlyAsync(7)));

            // The handle is for what is not offered here.
            FileLibC.SetWindowSize(master.SafeHandle, rows: 7, columns: 11);
            Assert.Equal((7, 11), FileLibC.GetWindowSize(terminal.SafeHandle));

            ProcessStartInfo start = new("sh", ["-c", $"echo from a child > {terminal.Name}"]);
            using Process child = Process.Start(start)!;
            Assert.Equal("from a child\r\n", Encoding.UTF8.GetString(await master.ReadExactlyAsync(14)));
            await child.WaitForExitAsync();
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_child_writes_to_its_end_of_a_pipe()
    {
        NetpollFile.CreatePipeFromChild(out NetpollFile read, out SafeFileHandle childWrite);
        await using (read)
        {
            Assert.False(ProcessInfo.IsNonBlocking(NumberOf(childWrite)));
            Assert.True(ProcessInfo.IsCloseOnExec(read.Descriptor.Fd));
            using Process child = Process.Start("sh", ["-c", $"head -c 300000 /dev/zero > /proc/self/fd/{Text(childWrite)}"]);
            childWrite.Dispose();
            Assert.Equal(300_000, (await read.ReadToEndAsync()).Length);
            await child.WaitForExitAsync();
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_child_reads_from_its_end_of_a_pipe()
    {
        NetpollFile.CreatePipeToChild(out SafeFileHandle childRead, out NetpollFile write);
        ProcessStartInfo start = new("sh", ["-c", $"wc -c < /proc/self/fd/{Text(childRead)}"]) { RedirectStandardOutput = true };
        using Process child = Process.Start(start)!;
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(childRead)));
        childRead.Dispose();
        await write.WriteAsync(new byte[300_000]);
        await write.DisposeAsync();
        Assert.Equal("300000", (await child.StandardOutput.ReadToEndAsync()).Trim());
        await child.WaitForExitAsync();
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_write_says_how_far_it_got_when_the_reader_leaves(bool gathered)
    {
        await using PipePair pipe = new();
        int capacity = pipe.Capacity;
        Task write = gathered
            ? pipe.Write.WriteAsync([new byte[capacity], new byte[capacity]]).AsTask()
            : pipe.Write.WriteAsync(new byte[2 * capacity]).AsTask();
        await Waits.AssertPendingAsync(write);
        await pipe.Read.DisposeAsync();
        PartialWriteException exception = await Assert.ThrowsAsync<PartialWriteException>(() => write);
        Assert.Equal((capacity, (int)Errno.EPIPE), (exception.BytesWritten, exception.HResult));
        Assert.Contains("EPIPE", exception.Message, StringComparison.Ordinal);

        // Nothing was written of this one.
        await Assert.ThrowsAsync<IOException>(() => pipe.Write.WriteAsync(new byte[1]).AsTask());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_write_says_how_far_it_got_when_it_is_cancelled(bool gathered)
    {
        await using PipePair pipe = new();
        int capacity = pipe.Capacity;
        using CancellationTokenSource cancellation = new();
        Task write = gathered
            ? pipe.Write.WriteAsync([new byte[capacity], new byte[capacity]], cancellation.Token).AsTask()
            : pipe.Write.WriteAsync(new byte[2 * capacity], cancellation.Token).AsTask();
        await Waits.AssertPendingAsync(write);
        await cancellation.CancelAsync();
        PartialWriteCanceledException exception = await Assert.ThrowsAsync<PartialWriteCanceledException>(() => write);
        Assert.Equal(capacity, exception.BytesWritten);
        Assert.Equal(cancellation.Token, exception.CancellationToken);
        Assert.True(write.IsCanceled);
    }

    [Fact]
    public void A_file_that_nobody_disposes_of_is_closed()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        Forget(runtime);
        Patience.Until(
            () =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return runtime.GetStatistics().OpenDescriptors == 0;
            },
            "the finalizers have closed the pipe");
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_file_that_somebody_waits_for_is_not_collected()
    {
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1 });
        (Task<int> read, NetpollFile write) = ReadAndForget(runtime);
        for (int i = 0; i < 10; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Delay(1);
        }

        await write.WriteAsync(new byte[3]);
        Assert.Equal(3, await read);
        await write.DisposeAsync();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(NetpollRuntime runtime)
    {
        NetpollFile.CreatePipe(out NetpollFile read, out NetpollFile write, runtime);
        Assert.True(read.SafeHandle.IsInvalid || write.IsPollable);
        Assert.Equal(2, runtime.GetStatistics().OpenDescriptors);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (Task<int> Read, NetpollFile Write) ReadAndForget(NetpollRuntime runtime)
    {
        NetpollFile.CreatePipe(out NetpollFile read, out NetpollFile write, runtime);
        return (read.ReadAsync(new byte[10]).AsTask(), write);
    }

    private static int NumberOf(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    private static string Text(SafeFileHandle handle) => NumberOf(handle).ToString(CultureInfo.InvariantCulture);
}
