using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Answers that a kernel gives rarely: what they mean for a read or a write.</summary>
public sealed class ScriptedFileTests
{
    [Fact(Timeout = Waits.Limit)]
    public async Task Zero_bytes_without_an_error_are_the_end_and_nothing_else_is()
    {
        using Kernel kernel = new() { ReadAnswer = SyscallResult.Success(0) };
        await using PipePair pipe = new(kernel.Runtime);

        // A pipe is at its end only once its writer has gone, whatever read says.
        pipe.Write.Dispose();
        Assert.Empty(await pipe.Read.ReadSomeAsync());

        foreach (Errno errno in new[] { Errno.EIO, Errno.EINVAL, Errno.EBADF })
        {
            kernel.ReadAnswer = SyscallResult.Failure(errno);
            IOException exception = await Assert.ThrowsAsync<IOException>(() => pipe.Read.ReadSomeAsync());
            Assert.Contains(errno.ToString(), exception.Message, StringComparison.Ordinal);
            Assert.Equal((int)errno, exception.HResult);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_write_that_takes_nothing_fails_instead_of_turning_in_circles()
    {
        using Kernel kernel = new() { WriteAnswer = SyscallResult.Success(0) };
        await using PipePair pipe = new(kernel.Runtime);
        await Assert.ThrowsAsync<IOException>(async () => await pipe.Write.WriteAsync(new byte[1]));
        await Assert.ThrowsAsync<IOException>(async () => await pipe.Write.WriteAsync([new byte[1]]));
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_descriptor_without_poller_that_would_block_is_an_error_and_not_an_endless_wait()
    {
        // Somebody switched it to non-blocking behind our back.
        using Kernel kernel = new() { Unpollable = true, ReadAnswer = SyscallResult.Failure(Errno.EAGAIN) };
        await using PipePair pipe = new(kernel.Runtime);
        Assert.False(pipe.Read.IsPollable);
        IOException exception = await Assert.ThrowsAsync<IOException>(() => pipe.Read.ReadSomeAsync());
        Assert.Contains("EAGAIN", exception.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_wake_up_for_nothing_costs_one_system_call()
    {
        using Kernel kernel = new();
        await using PipePair pipe = new(kernel.Runtime);
        Task<byte[]> read = pipe.Read.ReadSomeAsync();
        int before = kernel.Reads;
        for (int i = 1; i <= 10; i++)
        {
            kernel.Runtime.Groups[0].Schedule(pipe.Read.Descriptor.Poll!.Wake(PollMode.Read));
            await Waits.UntilAsync(() => kernel.Reads == before + i);
        }

        await Waits.AssertPendingAsync(read);
        Assert.Equal(before + 10, kernel.Reads);
        await pipe.Write.WriteAsync(new byte[1]);
        Assert.Single(await read);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_refused_registration_leaves_no_descriptor_behind(int refused)
    {
        using Kernel kernel = new() { RefusedRegistration = refused };
        IOException exception = Assert.Throws<IOException>(() => new PipePair(kernel.Runtime));
        Assert.Contains("ENOSPC", exception.Message, StringComparison.Ordinal);
        Assert.Equal((0, 2), (kernel.Runtime.GetStatistics().OpenDescriptors, kernel.Closes));
    }

    // The real kernel with some answers replaced. The wake-up descriptor's eight bytes pass.
    private sealed class Kernel : SystemCalls, IDisposable
    {
        private const int WakeUpLength = 8;
        private readonly Lazy<NetpollRuntime> _runtime;
        private int _reads;
        private int _closes;
        private int _registrations;

        internal Kernel() =>
            _runtime = new Lazy<NetpollRuntime>(() => new NetpollRuntime(new NetpollRuntimeOptions { WorkerCount = 1 }, this));

        internal NetpollRuntime Runtime => _runtime.Value;

        internal SyscallResult? ReadAnswer { get; set; }

        internal SyscallResult? WriteAnswer { get; init; }

        internal bool Unpollable { get; init; }

        internal int RefusedRegistration { get; init; }

        internal int Reads => Volatile.Read(ref _reads);

        internal int Closes => Volatile.Read(ref _closes);

        public void Dispose() => Runtime.Dispose();

        protected internal override SyscallResult ReadOnce(int fd, Span<byte> buffer)
        {
            if (buffer.Length == WakeUpLength)
            {
                return base.ReadOnce(fd, buffer);
            }

            Interlocked.Increment(ref _reads);
            return ReadAnswer ?? base.ReadOnce(fd, buffer);
        }

        protected internal override SyscallResult WriteOnce(int fd, ReadOnlySpan<byte> buffer) =>
            buffer.Length == WakeUpLength ? base.WriteOnce(fd, buffer) : WriteAnswer ?? base.WriteOnce(fd, buffer);

        protected internal override SyscallResult WritevOnce(int fd, ReadOnlySpan<iovec> buffers) =>
            WriteAnswer ?? base.WritevOnce(fd, buffers);

        protected internal override SyscallResult CloseOnce(int fd)
        {
            Interlocked.Increment(ref _closes);
            return base.CloseOnce(fd);
        }

        protected internal override SyscallResult EpollCtlOnce(int epfd, int op, int fd, uint events, ulong data)
        {
            if (op != LibC.EPOLL_CTL_ADD)
            {
                return base.EpollCtlOnce(epfd, op, fd, events, data);
            }

            // Number 0 is the wake-up descriptor's.
            int registration = _registrations++;
            if (registration > 0 && Unpollable)
            {
                return SyscallResult.Failure(Errno.EPERM);
            }

            return registration > 0 && registration == RefusedRegistration
                ? SyscallResult.Failure(Errno.ENOSPC)
                : base.EpollCtlOnce(epfd, op, fd, events, data);
        }
    }
}
