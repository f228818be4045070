using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// An open file of the <see cref="SimulatedKernel"/>: what its reads and writes will answer. Guarded by the kernel's lock.
/// </summary>
internal sealed class SimulatedFile(int fd, string path)
{
    private readonly Queue<SyscallResult> _readAnswers = new();
    private readonly Queue<byte> _input = new();

    internal int Fd { get; } = fd;

    internal string Path { get; } = path;

    internal bool IsClosed { get; set; }

    internal bool EndOfFile { get; set; }

    /// <summary>What F_GETFL says.</summary>
    internal int Flags { get; set; } = LibC.O_RDWR;

    /// <summary>Bytes that writes may still take before they answer EAGAIN.</summary>
    internal int WriteRoom { get; set; } = int.MaxValue;

    /// <summary>What every read answers once data and scripted answers have run out.</summary>
    internal Errno ReadError { get; set; } = Errno.EAGAIN;

    internal int Reads { get; private set; }

    internal int Writes { get; private set; }

    internal int Unread => _input.Count;

    /// <summary>Bytes for later reads.</summary>
    internal void Feed(params ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            _input.Enqueue(value);
        }
    }

    /// <summary>Answers that later reads give first, each once.</summary>
    internal void ScriptRead(params ReadOnlySpan<SyscallResult> answers)
    {
        foreach (SyscallResult answer in answers)
        {
            _readAnswers.Enqueue(answer);
        }
    }

    internal SyscallResult Read(Span<byte> buffer)
    {
        Reads++;
        if (_readAnswers.TryDequeue(out SyscallResult answer))
        {
            return answer;
        }

        int count = Math.Min(buffer.Length, _input.Count);
        for (int i = 0; i < count; i++)
        {
            buffer[i] = _input.Dequeue();
        }

        return count != 0 || EndOfFile || buffer.IsEmpty ? SyscallResult.Success(count) : SyscallResult.Failure(ReadError);
    }

    internal SyscallResult Write(int length)
    {
        Writes++;
        int count = Math.Min(length, WriteRoom);
        WriteRoom -= WriteRoom == int.MaxValue ? 0 : count;
        return count == 0 && length != 0 ? SyscallResult.Failure(Errno.EAGAIN) : SyscallResult.Success(count);
    }
}
