using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

// How a file ends, and who is told: also while nobody reads.
public abstract partial class PollerContractTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    public void The_end_of_the_peers_output_is_told_while_nobody_reads(int unread)
    {
        (Socket ours, Socket theirs) = ConnectTcp();
        using (ours)
        using (theirs)
        {
            PolledFile file = new(_poller, NumberOf(ours), PollInterest.Socket);
            Pump();
            theirs.Send(new byte[unread]);
            theirs.Shutdown(SocketShutdown.Send);

            PumpUntil(() => file.Slot.HangupSeen, "the hang-up is seen");

            Assert.Equal(1, file.Hangup.Wakes);
            Assert.False(file.Slot.GoneSeen);
            AwaitReadable(file);
            Assert.Equal(unread, _systemCalls.Recv(file.Fd, new byte[16], 0).Value);
            file.Close();
        }
    }

    [Fact]
    public void A_reader_that_waits_is_told_of_the_end_instead()
    {
        (Socket ours, Socket theirs) = ConnectTcp();
        using (ours)
        using (theirs)
        {
            PolledFile file = new(_poller, NumberOf(ours), PollInterest.Socket);
            Pump();
            file.Slot.Prepare(PollMode.Read);
            Assert.Equal(PollResult.Pending, file.ParkReader());

            theirs.Shutdown(SocketShutdown.Send);
            PumpUntilWoken(file.Reader);
            Pump();

            Assert.Equal(1, file.Reader.Wakes);
            Assert.Equal(0, file.Hangup.Wakes);
            Assert.True(file.Slot.HangupSeen);
            file.Close();
        }
    }

    /// <summary>The other half is still open: a peer that has finished sending reads what it is sent.</summary>
    [Fact]
    public void The_end_of_the_peers_output_makes_no_room_in_ours()
    {
        (Socket ours, Socket theirs) = ConnectTcp();
        using (ours)
        using (theirs)
        {
            PolledFile file = new(_poller, NumberOf(ours), PollInterest.Socket);
            Fill(file.Fd);
            Pump();
            file.Slot.Prepare(PollMode.Write);
            Assert.Equal(PollResult.Pending, file.ParkWriter());

            theirs.Shutdown(SocketShutdown.Send);
            PumpUntil(() => file.Slot.HangupSeen, "the hang-up is seen");
            Assert.True(file.Writer.Waits);

            byte[] block = new byte[64 * 1024];
            PumpUntil(
                () =>
                {
                    if (theirs.Available != 0)
                    {
                        theirs.Receive(block);
                    }

                    return file.Writer.Wakes != 0;
                },
                "the writer is woken");
            file.Close();
        }
    }

    [Fact]
    public void A_reset_is_told_while_nobody_reads()
    {
        (Socket ours, Socket theirs) = ConnectTcp();
        using (ours)
        {
            PolledFile file = new(_poller, NumberOf(ours), PollInterest.Socket);
            Pump();
            theirs.LingerState = new LingerOption(enable: true, seconds: 0);
            theirs.Dispose();

            PumpUntil(() => file.Slot.GoneSeen, "the reset is seen");

            Assert.Equal(1, file.Hangup.Wakes);
            Assert.True(file.Slot.HangupSeen);
            Assert.Equal(PollResult.Ready, file.Slot.Info.Check(PollMode.Read));
            AwaitReadable(file);
            Assert.Equal(Errno.ECONNRESET, _systemCalls.Recv(file.Fd, new byte[16], 0).Errno);
            file.Close();
        }
    }

    /// <summary>First it finishes, which is told; then it resets, of which that must not have made the backend deaf.</summary>
    [Fact]
    public void A_reset_is_told_after_the_end_of_the_peers_output()
    {
        (Socket ours, Socket theirs) = ConnectTcp();
        using (ours)
        {
            PolledFile file = new(_poller, NumberOf(ours), PollInterest.Socket);
            theirs.Shutdown(SocketShutdown.Send);
            PumpUntil(() => file.Slot.HangupSeen, "the hang-up is seen");
            Pump();
            theirs.LingerState = new LingerOption(enable: true, seconds: 0);
            theirs.Dispose();

            PumpUntil(() => file.Slot.GoneSeen, "the reset is seen");
            file.Close();
        }
    }

    /// <summary>A hang-up never goes away. Told again and again, it would keep a worker busy.</summary>
    [Fact]
    public void A_hang_up_is_not_told_for_ever()
    {
        (int ours, int theirs) = SocketPair();
        PolledFile file = new(_poller, ours);
        CloseNumber(theirs);
        PumpUntil(() => file.Slot.GoneSeen, "the hang-up is seen");
        Pump();

        Assert.Empty(Fetch());
        Assert.Empty(Fetch());
        Assert.False(_poller.HasEvents);
        AwaitReadable(file);
        Assert.Equal(0, Read(ours).Value);
        file.Close();
    }

    [Fact]
    public void A_refused_connection_wakes_whoever_connects()
    {
        using Socket closed = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using Socket ours = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        int fd = NumberOf(ours);
        _systemCalls.SetFlags(fd, _systemCalls.GetFlags(fd).Value | LibC.O_NONBLOCK);
        SyscallResult connecting = _systemCalls.Connect(fd, Native.Sockets.SocketAddresses.ToBytes(closed.LocalEndPoint!));
        Assert.Equal(Errno.EINPROGRESS, connecting.Errno);
        PolledFile file = new(_poller, fd, PollInterest.Socket);

        if (file.ParkWriter() == PollResult.Pending)
        {
            PumpUntilWoken(file.Writer);
        }

        Assert.True(_systemCalls.GetSockOpt(fd, LibC.SOL_SOCKET, LibC.SO_ERROR, out int error).IsSuccess);
        Assert.Equal(Errno.ECONNREFUSED, (Errno)error);
        file.Close();
    }

    [Fact]
    public void A_listener_tells_of_each_connection()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        listener.Blocking = false;
        PolledFile file = new(_poller, NumberOf(listener), PollInterest.SharedListener);
        for (int round = 0; round < 3; round++)
        {
            file.Slot.Prepare(PollMode.Read);
            Assert.Equal(PollResult.Pending, file.ParkReader());
            using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(listener.LocalEndPoint!);
            PumpUntilWoken(file.Reader);
            file.Slot.EndWait(PollMode.Read);
            listener.Accept().Dispose();
        }

        file.Close();
    }

    /// <summary>Nobody has come yet; somebody writes, and goes; the next one comes.</summary>
    [Fact]
    public void A_fifo_outlives_its_writers()
    {
        using TemporaryDirectory directory = new();
        string path = directory.PathOf("fifo");
        Assert.True(_systemCalls.MkFifo(path, 0x180).IsSuccess);
        int read = Open(path, LibC.O_RDONLY);
        PolledFile file = new(_poller, read);
        file.Slot.Prepare(PollMode.Read);
        Assert.Equal(PollResult.Pending, file.ParkReader());
        Pump();
        Assert.True(file.Reader.Waits);
        Assert.False(file.Slot.HangupSeen);

        int write = Open(path, LibC.O_WRONLY);
        Write(write, 3);
        PumpUntilWoken(file.Reader);
        file.Slot.EndWait(PollMode.Read);
        Assert.Equal(3, Read(read).Value);
        CloseNumber(write);
        PumpUntil(() => file.Slot.HangupSeen, "the hang-up is seen");

        write = Open(path, LibC.O_WRONLY);
        Pump();
        file.Slot.Prepare(PollMode.Read);
        Assert.True(Read(read).WouldBlock);
        Assert.Equal(PollResult.Pending, file.ParkReader());
        Write(write, 2);
        PumpUntilWoken(file.Reader);
        Assert.Equal(2, Read(read).Value);
        file.Close();
    }

    /// <summary>A full pipe without a reader has an error and nothing else; one with room can be written to as well.</summary>
    [Theory]
    [InlineData(true, PollResult.NotPollable)]
    [InlineData(false, PollResult.Ready)]
    public void An_error_and_nothing_else_is_told_from_others(bool full, object expected)
    {
        (int read, int write) = Pipe();
        PolledFile file = new(_poller, write);
        if (full)
        {
            Fill(write);
        }

        Pump();
        CloseNumber(read);
        PumpUntil(() => file.Slot.GoneSeen, "the error is seen");

        Assert.Equal(expected, file.Slot.Info.Check(PollMode.Read));
        Assert.Equal(PollResult.Ready, file.Slot.Info.Check(PollMode.Write));
        file.Close();
    }

    [Fact]
    public void What_is_always_ready_is_refused()
    {
        using TemporaryDirectory directory = new();
        File.WriteAllText(directory.PathOf("file"), "text");
        PollDescriptor? slot = null;

        Assert.Equal(Errno.EPERM, _poller.Open(Open(directory.PathOf("file"), LibC.O_RDONLY), null, ref slot));
        Assert.Equal(Errno.EPERM, _poller.Open(Open(directory.PathOf(""), LibC.O_RDONLY), null, ref slot));
        Assert.Equal(Errno.EBADF, _poller.Open(int.MaxValue, null, ref slot));

        Assert.Null(slot);
        Assert.Equal(0, _poller.Table.OpenCount);
    }

    private int Open(string path, int flags)
    {
        SyscallResult opened = _systemCalls.Open(path, flags | LibC.O_NONBLOCK, 0);
        Assert.True(opened.IsSuccess, opened.ToString());
        _open.Add(opened.Value);
        return opened.Value;
    }
}
