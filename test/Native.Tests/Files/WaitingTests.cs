using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Waiting for readiness without reading or writing.</summary>
public sealed class WaitingTests
{
    private const int SysPidfdOpen = 434;

    [Fact(Timeout = Waits.Limit)]
    public async Task It_waits_until_there_is_something_to_read_and_takes_nothing()
    {
        await using PipePair pipe = new();
        Task wait = pipe.Read.WaitReadableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);
        await pipe.Write.WriteAsync("data"u8.ToArray());
        await wait;
        await pipe.Read.WaitReadableAsync();
        Assert.Equal("data"u8.ToArray(), await pipe.Read.ReadSomeAsync());
        wait = pipe.Read.WaitReadableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);
        await pipe.Write.DisposeAsync();
        await wait;
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_waits_until_there_is_room()
    {
        await using PipePair pipe = new();
        await pipe.Write.WaitWritableAsync();
        pipe.Fill();
        Task wait = pipe.Write.WaitWritableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);
        await pipe.Read.ReadSomeAsync(100_000);
        await wait;
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task It_ends_with_deadlines_tokens_and_a_close()
    {
        await using PipePair pipe = new();
        pipe.Read.SetReadDeadline(Moments.In(TimeSpan.FromMilliseconds(20)));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => pipe.Read.WaitReadableAsync().AsTask());
        pipe.Read.SetReadDeadline(null);
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(20));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pipe.Read.WaitReadableAsync(cancellation.Token).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pipe.Read.WaitReadableAsync(new(canceled: true)).AsTask());
        Task wait = pipe.Read.WaitReadableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);
        await pipe.Read.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => wait);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pipe.Read.WaitReadableAsync().AsTask());
        await Assert.ThrowsAsync<NotSupportedException>(() => pipe.Write.WaitReadableAsync().AsTask());
        await Assert.ThrowsAsync<NotSupportedException>(() => pipe.Read.WaitWritableAsync().AsTask());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_process_is_readable_when_it_has_ended()
    {
        using Process process = Process.Start(new ProcessStartInfo("cat") { RedirectStandardInput = true })!;
        nint fd = LibC.syscall(SysPidfdOpen, process.Id, 0, 0, 0, 0, 0);
        Assert.SkipUnless(fd >= 0, "This kernel has no pidfd_open.");
        await using var pidfd = NetpollFile.FromHandle(new SafeFileHandle(fd, ownsHandle: true), SuiteBackend.Files);
        Task wait = pidfd.WaitReadableAsync().AsTask();
        await Waits.AssertPendingAsync(wait);
        process.StandardInput.Close();
        await wait;
        await process.WaitForExitAsync();
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task What_cannot_be_polled_is_always_ready_and_has_no_exceptional_conditions()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("regular");
        await File.WriteAllTextAsync(path, "content");
        await using var file = NetpollFile.Open(path, FileAccess.ReadWrite, SuiteBackend.Files);
        await file.WaitReadableAsync();
        await file.WaitWritableAsync();
        await Assert.ThrowsAsync<NotSupportedException>(() => file.WaitPriorityAsync().AsTask());
        Assert.NotEmpty(await file.ReadSomeAsync());
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task Urgent_data_is_told_and_ordinary_data_is_not()
    {
        (NetpollFile file, Socket peer) = await ConnectAsync();
        using (peer)
        await using (file)
        {
            Task wait = file.WaitPriorityAsync().AsTask();
            await peer.SendAsync("ordinary"u8.ToArray());
            await Waits.AssertPendingAsync(wait);
            await peer.SendAsync(new byte[] { 1 }, SocketFlags.OutOfBand);
            await wait;

            // It is still there, so it is told again.
            await file.WaitPriorityAsync();
            Assert.Equal("ordinary"u8.ToArray(), await file.ReadSomeAsync());
        }
    }

    /// <summary>poll(2) tells what is, again and again: urgent data that nobody receives must not keep a worker busy.</summary>
    [Theory(Timeout = Waits.Limit)]
    [InlineData(PollerBackend.Epoll)]
    [InlineData(PollerBackend.Poll)]
    public async Task Urgent_data_that_nobody_receives_is_told_once(object backend)
    {
        WaitCounter kernel = new();
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, Backend = (PollerBackend)backend }, kernel);
        (NetpollFile file, Socket peer) = await ConnectAsync(runtime);
        using (peer)
        await using (file)
        {
            Task wait = file.WaitPriorityAsync().AsTask();
            await Waits.AssertPendingAsync(wait);
            await peer.SendAsync(new byte[] { 1 }, SocketFlags.OutOfBand);
            await wait;
            long before = kernel.Waits;
            await Task.Delay(Waits.AWhile);

            // Told over and over, it would be some thousand.
            Assert.InRange(kernel.Waits - before, 0, 20);

            // The next one is told.
            const int OutOfBand = 1;
            Assert.Equal(1, SystemCalls.Instance.Recv(file.Descriptor.Fd, new byte[1], OutOfBand).Value);
            wait = file.WaitPriorityAsync().AsTask();
            await Waits.AssertPendingAsync(wait);
            await peer.SendAsync(new byte[] { 2 }, SocketFlags.OutOfBand);
            await wait;
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_wait_for_something_exceptional_ends_with_its_token_and_with_a_close()
    {
        (NetpollFile file, Socket peer) = await ConnectAsync();
        using (peer)
        await using (file)
        {
            using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(20));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => file.WaitPriorityAsync(cancellation.Token).AsTask());
            Task[] waits = [.. Enumerable.Range(0, 3).Select(_ => file.WaitPriorityAsync().AsTask())];
            await Waits.AssertPendingAsync(Task.WhenAny(waits));
            await file.DisposeAsync();
            foreach (Task wait in waits)
            {
                await Assert.ThrowsAsync<ObjectDisposedException>(() => wait);
            }

            await Assert.ThrowsAsync<ObjectDisposedException>(() => file.WaitPriorityAsync().AsTask());
        }
    }

    [Fact]
    public void A_change_of_the_mounts_is_told()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Mounting needs root.");
        using TemporaryDirectory directory = new();
        string place = directory.PathOf("");
        int refused = 0;
        Exception? failure = null;

        // A name space of one thread's own, which goes away with it.
        Thread thread = new(() =>
        {
            refused = FileLibC.UnshareMounts();
            if (refused != 0)
            {
                return;
            }

            failure = Record.Exception(() =>
            {
                using var mounts = NetpollFile.Open("/proc/thread-self/mounts", FileAccess.Read, SuiteBackend.Files);
                Assert.False(mounts.IsPollable);
                Task wait = mounts.WaitPriorityAsync().AsTask();
                Assert.False(wait.Wait(Waits.AWhile));
                for (int i = 0; i < 3; i++)
                {
                    Assert.Equal(0, FileLibC.mount("none", place, "tmpfs", 0, 0));
                    Assert.True(wait.Wait(Waits.Limit));
                    wait = mounts.WaitPriorityAsync().AsTask();
                    Assert.False(wait.Wait(Waits.AWhile));
                }

                // Between two waits, and with nobody waiting.
                using CancellationTokenSource cancellation = new();
                Task cancelled = mounts.WaitPriorityAsync(cancellation.Token).AsTask();
                cancellation.Cancel();
                Assert.ThrowsAny<OperationCanceledException>(() => cancelled.GetAwaiter().GetResult());
                Assert.Equal(0, FileLibC.mount("none", place, "tmpfs", 0, 0));
                Assert.True(wait.Wait(Waits.Limit));
                Assert.Equal(0, FileLibC.mount("none", place, "tmpfs", 0, 0));
                Assert.True(mounts.WaitPriorityAsync().AsTask().Wait(Waits.Limit));
            });
        });
        thread.Start();
        Assert.True(thread.Join(Waits.Limit * 2));
        Assert.SkipUnless(refused == 0, "A mount name space needs CAP_SYS_ADMIN.");
        Assert.Null(failure);
    }

    private static async Task<(NetpollFile File, Socket Peer)> ConnectAsync(NetpollRuntime? runtime = null)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(listener.LocalEndPoint!);
        using Socket accepted = await listener.AcceptAsync();
        return (NetpollFile.FromHandle(FileLibC.ToHandle(FileLibC.dup((int)accepted.Handle)), runtime ?? SuiteBackend.Files), peer);
    }

    private sealed class WaitCounter : SystemCalls
    {
        private long _waits;

        internal long Waits => Interlocked.Read(ref _waits);

        protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
        {
            Interlocked.Increment(ref _waits);
            return base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);
        }

        protected internal override SyscallResult EpollPwait2Once(int epfd, EpollEventBuffer buffer, int maxEvents, long timeoutNanoseconds)
        {
            Interlocked.Increment(ref _waits);
            return base.EpollPwait2Once(epfd, buffer, maxEvents, timeoutNanoseconds);
        }

        protected internal override SyscallResult PollAllOnce(Span<pollfd> asked, int timeoutMilliseconds)
        {
            Interlocked.Increment(ref _waits);
            return base.PollAllOnce(asked, timeoutMilliseconds);
        }
    }
}
