using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

/// <summary>write(2) until all of one buffer is written. Yields its length.</summary>
internal sealed class WriteOperation(FileDescriptor file) : FileOperation<int>(file, PollMode.Write)
{
    private ReadOnlyMemory<byte> _buffer;
    private int _written;

    protected override long BytesWritten => _written;

    internal ValueTask<int> Start(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        _written = 0;
        return Start(cancellationToken);
    }

    protected override bool Attempt(out int result, out Exception? error)
    {
        error = null;
        ReadOnlySpan<byte> buffer = _buffer.Span;
        if (buffer.IsEmpty && File.Traits.IsMessageSocket)
        {
            return SendNothing(out result, out error);
        }

        while (_written < buffer.Length)
        {
            int count = Math.Min(buffer.Length - _written, FileDescriptor.MaxBytesPerCall);
            SyscallResult wrote = SystemCalls.Write(Fd, buffer.Slice(_written, count));
            if (MustWait(wrote))
            {
                result = 0;
                return false;
            }

            if (wrote.IsError || wrote.Value == 0)
            {
                error = wrote.IsError ? ToException(wrote, "write") : File.NothingTakenException("write");
                break;
            }

            _written += wrote.Value;
            if (_written < buffer.Length && MustLookUp(out error))
            {
                result = 0;
                return error is not null;
            }
        }

        result = _written;
        return true;
    }

    // An empty message is one, too.
    private bool SendNothing(out int result, out Exception? error)
    {
        SyscallResult wrote = SystemCalls.Write(Fd, []);
        result = 0;
        error = wrote.IsError && !MustWait(wrote) ? ToException(wrote, "write") : null;
        return !MustWait(wrote);
    }

    protected override void Recycle()
    {
        _buffer = default;
        File.Return(this);
    }
}
