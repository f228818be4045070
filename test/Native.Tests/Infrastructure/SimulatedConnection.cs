using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// A socket of an <see cref="EngineByHand"/> with a reader and a writer that do what real ones do: try, park on EAGAIN, try again when
/// woken. It knows what was done to this very incarnation, and fails when it is told anything else.
/// </summary>
internal sealed class SimulatedConnection
{
    private readonly EngineByHand _engine;
    private readonly CallbackTurn _readerTurn;
    private readonly CallbackTurn _writerTurn;
    private readonly byte _tag;
    private bool _errorRaised;
    private bool _hangupRaised;
    private bool _deadlineSet;

    internal SimulatedConnection(EngineByHand engine, byte tag)
    {
        _engine = engine;
        _tag = tag;
        _readerTurn = new CallbackTurn(() => Resume(reader: true));
        _writerTurn = new CallbackTurn(() => Resume(reader: false));
        HangupTurn = new CallbackTurn(() => Assert.True(_hangupRaised, "a hang-up turn without a hang-up"));
        Socket = engine.OpenSocket(out SimulatedFile file, HangupTurn);
        File = file;
        Poll = Socket.Poll!;
        File.WriteRoom = 0;
    }

    internal StreamSocket Socket { get; }

    internal SimulatedFile File { get; }

    internal PollDescriptor Poll { get; }

    internal CallbackTurn HangupTurn { get; }

    internal bool ReaderParked { get; private set; }

    internal bool WriterParked { get; private set; }

    internal int Parked => (ReaderParked ? 1 : 0) + (WriterParked ? 1 : 0);

    internal int BytesFed { get; private set; }

    internal int BytesRead { get; private set; }

    internal int BytesWritten { get; private set; }

    internal void Raise(uint events)
    {
        _errorRaised |= events == LibC.EPOLLERR;
        _hangupRaised |= (events & (LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0;
        _engine.Kernel.Raise(File.Fd, events);
    }

    internal void Feed(int count)
    {
        for (int i = 0; i < count; i++)
        {
            File.Feed(_tag);
        }

        BytesFed += count;
        Raise(LibC.EPOLLIN);
    }

    internal void MakeRoom(int count)
    {
        File.WriteRoom += count;
        Raise(LibC.EPOLLOUT);
    }

    internal void SetDeadline(PollMode mode, long deadline)
    {
        _deadlineSet = true;
        _engine.Group.SetDeadline(Poll, mode, deadline);
    }

    /// <summary>Reads until there is nothing, then parks. Nothing, when it is parked already.</summary>
    internal void Read()
    {
        byte[] buffer = new byte[3];
        while (!ReaderParked)
        {
            SyscallResult received = Socket.Receive(buffer);
            if (received.IsSuccess)
            {
                Assert.All(buffer[..received.Value], value => Assert.Equal(_tag, value));
                BytesRead += received.Value;
                continue;
            }

            if (!Continue(received, Socket.BeginWaitReadable(_readerTurn), out bool parked))
            {
                ReaderParked = parked;
                return;
            }
        }
    }

    /// <summary>Writes until there is no room, then parks. Nothing, when it is parked already.</summary>
    internal void Write()
    {
        while (!WriterParked)
        {
            SyscallResult sent = Socket.Send([1]);
            if (sent.IsSuccess)
            {
                BytesWritten += sent.Value;
                continue;
            }

            if (!Continue(sent, Socket.BeginWaitWritable(_writerTurn), out bool parked))
            {
                WriterParked = parked;
                return;
            }
        }
    }

    /// <summary>What must hold at any moment.</summary>
    internal void Check()
    {
        Assert.True(!Socket.HangupSeen || _hangupRaised || Socket.IsClosed, "a hang-up of another life");
        Assert.True(HangupTurn.Runs <= 1, "two hang-ups in one life");
    }

    private void Resume(bool reader)
    {
        Assert.True(reader ? ReaderParked : WriterParked, "a waiter runs that is not parked");
        PollResult result;
        if (reader)
        {
            ReaderParked = false;
            result = Socket.EndWaitReadable();
        }
        else
        {
            WriterParked = false;
            result = Socket.EndWaitWritable();
        }

        CheckLegal(result);
        if (result == PollResult.Ready)
        {
            (reader ? (Action)Read : Write)();
        }
    }

    // True: try again.
    private bool Continue(SyscallResult failed, PollResult wait, out bool parked)
    {
        parked = wait == PollResult.Pending;
        Assert.True(failed.WouldBlock || (failed.Errno == Errno.EBADF && Socket.IsClosed), failed.ToString());
        CheckLegal(wait);
        return wait == PollResult.Ready;
    }

    private void CheckLegal(PollResult result)
    {
        switch (result)
        {
            case PollResult.Closing:
                Assert.True(Socket.IsClosed, "closing, and is not closed");
                break;
            case PollResult.TimedOut:
                Assert.True(_deadlineSet, "timed out, and never had a deadline");
                break;
            case PollResult.NotPollable:
                Assert.True(_errorRaised, "an error of another life");
                break;
        }
    }
}
