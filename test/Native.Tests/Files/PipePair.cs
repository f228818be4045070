using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Both ends of an anonymous pipe, closed at the end of the test.</summary>
internal sealed class PipePair : IAsyncDisposable
{
    private const int PageSize = 4096;

    internal PipePair(NetpollRuntime? runtime = null)
    {
        NetpollFile.CreatePipe(out NetpollFile read, out NetpollFile write, runtime ?? SuiteBackend.Files);
        Read = read;
        Write = write;
    }

    internal NetpollFile Read { get; }

    internal NetpollFile Write { get; }

    internal int Capacity => TestLibC.fcntl(Write.Descriptor.Fd, TestLibC.F_GETPIPE_SZ, 0);

    /// <summary>Makes the pipe as small as it gets, so that little is needed to make writes wait.</summary>
    internal PipePair Shrink()
    {
        Assert.Equal(PageSize, TestLibC.fcntl(Write.Descriptor.Fd, TestLibC.F_SETPIPE_SZ, PageSize));
        return this;
    }

    /// <summary>Puts as much into the pipe as fits, behind the file's back, and returns how much that was.</summary>
    internal int Fill(byte value = 0)
    {
        byte[] page = new byte[PageSize];
        page.AsSpan().Fill(value);
        int written = 0;
        SyscallResult result;
        while ((result = SystemCalls.Instance.Write(Write.Descriptor.Fd, page)).IsSuccess)
        {
            written += result.Value;
        }

        Assert.True(result.WouldBlock, result.ToString());
        return written;
    }

    public async ValueTask DisposeAsync()
    {
        await Read.DisposeAsync();
        await Write.DisposeAsync();
    }
}
