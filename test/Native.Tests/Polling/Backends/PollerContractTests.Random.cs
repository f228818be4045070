using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling.Backends;

// Random schedules. NETPOLL_TEST_SEED makes a run again.
public abstract partial class PollerContractTests
{
    private const int Schedules = 10_000;
    private const int Steps = 12;

    /// <summary>Events are held back and dispatched in any order, files are closed and their slots used again in between.</summary>
    [Fact]
    public void Whatever_the_order_no_wake_up_is_lost_and_none_is_a_strangers()
    {
        Random random = SeededRandom.Create();
        RandomFile[] files = [.. Enumerable.Range(0, 3).Select(_ => new RandomFile(this))];
        List<PollEvent> held = [];
        for (int schedule = 0; schedule < Schedules; schedule++)
        {
            for (int step = 0; step < Steps; step++)
            {
                RandomFile file = files[random.Next(files.Length)];
                switch (random.Next(12))
                {
                    case 0 or 1 or 2:
                        file.Park();
                        break;
                    case 3 or 4:
                        file.Send();
                        break;
                    case 5 or 6:
                        held.AddRange(Fetch());
                        break;
                    case 7 or 8 when held.Count != 0:
                        int index = random.Next(held.Count);
                        Dispatch(held[index]);
                        held.RemoveAt(index);
                        break;
                    case 9:
                        file.Receive();
                        break;
                    case 10:
                        file.Cancel();
                        break;
                    case 11 when random.Next(4) == 0:
                        file.Reopen(hangUp: random.Next(2) == 0);
                        break;
                }
            }

            held.ForEach(one => Dispatch(in one));
            held.Clear();
            Pump();
            Array.ForEach(files, file => file.CheckAtRest(schedule));
        }

        Array.ForEach(files, file => file.Close());
    }

    private sealed class RandomFile
    {
        private readonly PollerContractTests _tests;
        private readonly List<ParkedWaiter> _released = [];
        private readonly byte[] _buffer = new byte[4096];
        private PolledFile _file;
        private int _peer;
        private int _unread;

        internal RandomFile(PollerContractTests tests)
        {
            _tests = tests;
            _file = Open();
        }

        /// <summary>As an operation does: an edge is used up by trying.</summary>
        internal void Park()
        {
            if (!_file.Reader.Waits)
            {
                Collect();
                while (TryRead().WouldBlock && _file.ParkReader() == PollResult.Ready)
                {
                }
            }
        }

        internal void Send()
        {
            _tests.Write(_peer);
            _unread++;
        }

        internal void Receive()
        {
            if (!_file.Reader.Waits)
            {
                Collect();
                _file.Slot.Prepare(PollMode.Read);
                TryRead();
            }
        }

        internal void Cancel() => ((ParkedWaiter?)_file.Slot.Wake(PollMode.Read))?.Wake();

        internal void Reopen(bool hangUp)
        {
            if (hangUp)
            {
                _tests.CloseNumber(_peer);
            }

            ParkedWaiter reader = _file.Reader;
            bool waited = reader.Waits;
            Close();
            Assert.Equal(waited || reader.IsParked ? 1 : 0, reader.Wakes);
            _released.Clear();
            _released.Add(reader);
            _tests.CloseNumber(_file.Fd);
            if (!hangUp)
            {
                _tests.CloseNumber(_peer);
            }

            _unread = 0;
            _file = Open();
        }

        internal void Close() => _file.Close();

        internal void CheckAtRest(int schedule)
        {
            Assert.False(_file.Reader.Waits && _unread != 0, $"A reader waits for what has come, in schedule {schedule}.");
            Assert.InRange(_file.Reader.Wakes, 0, 1);
            Assert.False(_file.Slot.HangupSeen, $"It has another's hang-up, in schedule {schedule}.");
            Assert.Equal(0, _file.Hangup.Wakes);
            Assert.All(_released, one => Assert.InRange(one.Wakes, 0, 1));
        }

        private SyscallResult TryRead()
        {
            SyscallResult read = _tests._systemCalls.Read(_file.Fd, _buffer);
            _unread -= read.IsSuccess ? read.Value : 0;
            return read;
        }

        // What a waiter that was woken does first.
        private void Collect()
        {
            if (_file.Reader is { IsParked: true, Wakes: 1 })
            {
                _file.Slot.EndWait(PollMode.Read);
            }
        }

        private PolledFile Open()
        {
            (int ours, int theirs) = _tests.SocketPair();
            _peer = theirs;
            return new PolledFile(_tests._poller, ours);
        }
    }
}
