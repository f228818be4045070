using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

/// <summary>writev(2) until every byte of a list of buffers is written, in order. Yields the sum of their lengths.</summary>
internal sealed class GatherWriteOperation(FileDescriptor file) : FileOperation<long>(file, PollMode.Write)
{
    private readonly PinRoom _room = new();
    private IReadOnlyList<ReadOnlyMemory<byte>> _buffers = [];

    // Where the next byte comes from: buffer _next, after _offset bytes of it.
    private int _next;
    private int _offset;
    private long _written;

    protected override long BytesWritten => _written;

    internal ValueTask<long> Start(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken)
    {
        _buffers = buffers;
        _next = 0;
        _offset = 0;
        _written = 0;
        return Start(cancellationToken);
    }

    protected override bool Attempt(out long result, out Exception? error)
    {
        error = null;
        result = 0;
        while (SkipEmptyBuffers())
        {
            SyscallResult wrote = WriteSome();
            if (MustWait(wrote))
            {
                return false;
            }

            if (wrote.IsError || wrote.LongValue == 0)
            {
                error = wrote.IsError ? ToException(wrote, "writev") : File.NothingTakenException("writev");
                break;
            }

            Advance(wrote.LongValue);
            if (SkipEmptyBuffers() && MustLookUp(out error))
            {
                return error is not null;
            }
        }

        result = _written;
        return true;
    }

    protected override void Recycle()
    {
        _buffers = [];
        File.Return(this);
    }

    // False: everything is written.
    private bool SkipEmptyBuffers()
    {
        while (_next < _buffers.Count && _offset == _buffers[_next].Length)
        {
            _next++;
            _offset = 0;
        }

        return _next < _buffers.Count;
    }

    private SyscallResult WriteSome()
    {
        using PinnedBuffers pinned = _room.Open(_buffers.Count - _next);
        pinned.TryAdd(_buffers[_next][_offset..], FileDescriptor.MaxBytesPerCall);
        for (int i = _next + 1; i < _buffers.Count && pinned.TryAdd(_buffers[i], FileDescriptor.MaxBytesPerCall); i++) { }
        return SystemCalls.Writev(Fd, pinned.Vectors);
    }

    private void Advance(long count)
    {
        _written += count;
        while (count > 0)
        {
            int left = _buffers[_next].Length - _offset;
            if (count < left)
            {
                _offset += (int)count;
                return;
            }

            count -= left;
            _next++;
            _offset = 0;
        }
    }
}
