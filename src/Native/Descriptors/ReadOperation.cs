using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>read(2) into one buffer. Yields the bytes read; 0 is the end of the file.</summary>
internal sealed class ReadOperation(FileDescriptor file) : FileOperation<int>(file, PollMode.Read)
{
    private Memory<byte> _buffer;

    internal ValueTask<int> Start(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        return Start(cancellationToken);
    }

    protected override bool Attempt(out int result, out Exception? error)
    {
        error = null;
        bool mayHaveNoWriterYet = File.MayHaveNoWriterYet;
        Span<byte> buffer = _buffer.Span;
        SyscallResult read = SystemCalls.Read(Fd, buffer[..Math.Min(buffer.Length, MaxBytesPerCall)]);
        result = read.Value;
        if (MustWait(read) || (mayHaveNoWriterYet && read.LongValue == 0))
        {
            return false;
        }

        error = read.IsError ? ToException(read, "read") : null;
        return true;
    }

    protected override void Recycle()
    {
        _buffer = default;
        File.Return(this);
    }
}
