using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

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
        bool done = File.TryRead(_buffer.Span, out SyscallResult read);
        result = read.Value;
        if (!done)
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
