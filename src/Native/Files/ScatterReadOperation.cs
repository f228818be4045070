using KestrelNetpoll.Native.Descriptors;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

/// <summary>readv(2) into a list of buffers, filled in order. Yields the bytes read; 0 is the end of the file.</summary>
internal sealed class ScatterReadOperation(FileDescriptor file) : FileOperation<long>(file, PollMode.Read)
{
    private readonly PinRoom _room = new();
    private IReadOnlyList<Memory<byte>> _buffers = [];

    internal ValueTask<long> Start(IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken)
    {
        _buffers = buffers;
        return Start(cancellationToken);
    }

    protected override bool Attempt(out long result, out Exception? error)
    {
        error = null;
        bool mayBeEmpty = File.MayBeEmptyBeforeItsEnd;
        SyscallResult read = ReadSome();
        result = read.LongValue;
        if (MustWait(read) || (mayBeEmpty && read.LongValue == 0 && File.IsJustEmpty))
        {
            return false;
        }

        error = read.IsError ? ToException(read, "readv") : null;
        return true;
    }

    protected override void Recycle()
    {
        _buffers = [];
        File.Return(this);
    }

    private SyscallResult ReadSome()
    {
        using PinnedBuffers pinned = _room.Open(_buffers.Count);
        for (int i = 0; i < _buffers.Count && pinned.TryAdd(_buffers[i], FileDescriptor.MaxBytesPerCall); i++) { }
        return SystemCalls.Readv(Fd, pinned.Vectors);
    }
}
