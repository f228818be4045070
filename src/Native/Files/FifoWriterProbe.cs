using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Files;

/// <summary>
/// Tells whether a FIFO that was opened for reading has, or had, a writer, without taking anything out of it. Poll does not tell of a
/// writer that has not written yet; tee(2) into a pipe of our own does.
/// </summary>
internal sealed class FifoWriterProbe : IDisposable
{
    private readonly FileDescriptor _file;
    private readonly int _read = -1;
    private readonly int _write = -1;

    /// <exception cref="IOException">Too many files are open.</exception>
    internal FifoWriterProbe(FileDescriptor file)
    {
        _file = file;
        SyscallResult result = file.SystemCalls.Pipe2(out _read, out _write, LibC.O_NONBLOCK);
        if (result.IsError)
        {
            throw SystemErrors.ToIOException(result.Errno, "pipe2");
        }
    }

    /// <summary>The file is the caller's alone, so it is open.</summary>
    internal bool HasWriterCome()
    {
        SystemCalls systemCalls = _file.SystemCalls;
        if (systemCalls.Poll(_file.Fd, LibC.POLLIN, out short events).IsSuccess && events != 0)
        {
            return true;
        }

        // EAGAIN: a writer that has nothing to say yet. Any other error: the kernel does not tell, and reads wait for a writer themselves.
        return _file.SystemCalls.Tee(_file.Fd, _write, count: 1) is not { IsSuccess: true, Value: 0 };
    }

    public void Dispose()
    {
        _file.SystemCalls.Close(_read);
        _file.SystemCalls.Close(_write);
    }
}
