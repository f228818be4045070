using System.IO.Pipes;
using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>
/// Who closes a descriptor: its handle, if it owns it and nobody else uses it. Alone, since these tests look at numbers that were given back.
/// </summary>
[Collection(nameof(Alone))]
public sealed class HandleContractTests
{
    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public async Task A_handle_that_does_not_own_its_descriptor_does_not_close_it(int flags)
    {
        using SafeFileHandle owner = NewPipe(flags, out SafeFileHandle write);
        using (write)
        {
            await using (var file = NetpollFile.FromHandle(new SafeFileHandle(owner.DangerousGetHandle(), ownsHandle: false)))
            {
                Write(write, "abc"u8);
                Assert.Equal(3, (await file.ReadSomeAsync()).Length);
            }

            Write(write, "de"u8);
            Assert.Equal(2, SystemCalls.Instance.Read((int)owner.DangerousGetHandle(), new byte[9]).Value);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_pipe_of_the_frameworks_is_its_own_again_afterwards()
    {
        await using AnonymousPipeServerStream server = new(PipeDirection.In);
        await using AnonymousPipeClientStream client = new(PipeDirection.Out, server.ClientSafePipeHandle);
        await using (var file = NetpollFile.FromHandle(new SafeFileHandle(server.SafePipeHandle.DangerousGetHandle(), ownsHandle: false)))
        {
            client.WriteByte(1);
            Assert.Single(await file.ReadSomeAsync());
        }

        client.WriteByte(2);
        Assert.Equal(2, server.ReadByte());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public async Task Whoever_holds_a_reference_keeps_the_descriptor_open(int flags)
    {
        SafeFileHandle handle = NewPipe(flags, out SafeFileHandle write);
        using (write)
        {
            int fd = (int)handle.DangerousGetHandle();
            string? link = ProcessInfo.LinkOf(fd);
            bool added = false;
            handle.DangerousAddRef(ref added);
            await using (NetpollFile.FromHandle(handle))
            {
            }

            Assert.Equal(link, ProcessInfo.LinkOf(fd));
            handle.DangerousRelease();
            Assert.NotEqual(link, ProcessInfo.LinkOf(fd));
        }
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public async Task A_handle_that_its_owner_disposes_of_too_early_serves_the_file_to_its_end(int flags)
    {
        SafeFileHandle handle = NewPipe(flags, out SafeFileHandle write);
        using (write)
        {
            string? link = ProcessInfo.LinkOf((int)handle.DangerousGetHandle());
            var file = NetpollFile.FromHandle(handle);
            handle.Dispose();
            Write(write, "abc"u8);
            Assert.Equal(3, (await file.ReadSomeAsync()).Length);
            int fd = file.Descriptor.Fd;
            await file.DisposeAsync();
            Assert.NotEqual(link, ProcessInfo.LinkOf(fd));
            Assert.NotEqual(link, ProcessInfo.LinkOf((int)handle.DangerousGetHandle()));
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_number_that_a_file_has_already_is_refused_and_not_closed()
    {
        await using PipePair pipe = new();
        SafeFileHandle second = new(pipe.Read.Descriptor.Fd, ownsHandle: true);
        ArgumentException exception = Assert.Throws<ArgumentException>(() => NetpollFile.FromHandle(second));
        Assert.Equal("handle", exception.ParamName);
        second.Dispose();

        await pipe.Write.WriteAsync(new byte[1]);
        Assert.Single(await pipe.Read.ReadSomeAsync());
    }

    [Theory(Timeout = Waits.Limit)]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public async Task A_handle_is_refused_the_second_time(int flags)
    {
        SafeFileHandle handle = NewPipe(flags, out SafeFileHandle write);
        using (write)
        {
            await using var file = NetpollFile.FromHandle(handle);
            Assert.Throws<ArgumentException>(() => NetpollFile.FromHandle(handle));
            Assert.Throws<ArgumentException>(() => NetpollFile.FromHandle(file.SafeHandle));
            Assert.False(file.SafeHandle.IsClosed);
            Write(write, "abc"u8);
            Assert.Equal(3, (await file.ReadSomeAsync()).Length);
        }
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task The_handle_of_a_file_is_closed_with_it_and_not_before()
    {
        await using PipePair pipe = new();
        SafeFileHandle handle = pipe.Read.SafeHandle;
        Assert.Same(handle, pipe.Read.SafeHandle);
        Assert.Equal(pipe.Read.Descriptor.Fd, (int)handle.DangerousGetHandle());
        string? link = ProcessInfo.LinkOf(pipe.Read.Descriptor.Fd);

        // Whoever disposes of it takes nothing away from the file.
        handle.Dispose();
        await pipe.Write.WriteAsync(new byte[1]);
        Assert.Single(await pipe.Read.ReadSomeAsync());
        await pipe.Read.DisposeAsync();
        Assert.NotEqual(link, ProcessInfo.LinkOf((int)handle.DangerousGetHandle()));
        Assert.Throws<ObjectDisposedException>(() => pipe.Read.SafeHandle);
    }

    [Fact(Timeout = Waits.Limit)]
    public async Task A_reference_on_the_handle_of_a_file_outlives_it()
    {
        await using PipePair pipe = new();
        SafeFileHandle handle = pipe.Read.SafeHandle;
        bool added = false;
        handle.DangerousAddRef(ref added);
        string? link = ProcessInfo.LinkOf(pipe.Read.Descriptor.Fd);
        await pipe.Read.DisposeAsync();
        Assert.Equal(link, ProcessInfo.LinkOf(pipe.Read.Descriptor.Fd));
        handle.DangerousRelease();
        Assert.NotEqual(link, ProcessInfo.LinkOf(pipe.Read.Descriptor.Fd));
    }

    private static void Write(SafeFileHandle handle, ReadOnlySpan<byte> bytes) =>
        Assert.Equal(bytes.Length, SystemCalls.Instance.Write((int)handle.DangerousGetHandle(), bytes).Value);

    private static SafeFileHandle NewPipe(int flags, out SafeFileHandle write)
    {
        Assert.True(SystemCalls.Instance.Pipe2(out int read, out int writeFd, flags).IsSuccess);
        write = FileLibC.ToHandle(writeFd);
        return FileLibC.ToHandle(read);
    }
}
