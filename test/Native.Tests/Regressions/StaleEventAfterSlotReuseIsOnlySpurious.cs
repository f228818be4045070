using System.Diagnostics;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// Seeded random schedules: sockets come and go on a handful of slots, while events are fetched early and dispatched late, in any
/// order, twice, or long after their file has gone. All that may come of it is a wake-up for nothing.
/// </summary>
public sealed class StaleEventAfterSlotReuseIsOnlySpurious
{
    private const int Schedules = 400;
    private const int Steps = 1500;
    private const int MaxOpen = 4;
    private static readonly TimeSpan TimeBox = TimeSpan.FromSeconds(8);

    private static readonly uint[] Masks =
    [
        LibC.EPOLLIN, LibC.EPOLLOUT, LibC.EPOLLIN | LibC.EPOLLOUT, LibC.EPOLLERR, LibC.EPOLLHUP, LibC.EPOLLIN | LibC.EPOLLRDHUP,
        LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLHUP | LibC.EPOLLERR, 0,
    ];

    [Fact]
    public void Whatever_the_order()
    {
        int seed = SeededRandom.NewSeed();
        var clock = Stopwatch.StartNew();
        long stale = 0, dispatched = 0;
        int schedules = 0;
        for (; schedules < Schedules && clock.Elapsed < TimeBox; schedules++)
        {
            try
            {
                using Schedule schedule = new(new Random(seed + schedules));
                schedule.Run(ref stale, ref dispatched);
            }
            catch (Exception exception)
            {
                Assert.Fail($"Schedule {schedules} of seed {seed}: {exception}");
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{schedules} schedules, {dispatched} events dispatched, {stale} of them stale");
        Assert.True(stale > schedules, $"only {stale} stale events: the schedules test nothing");
    }

    private sealed class Schedule(Random random) : IDisposable
    {
        private readonly EngineByHand _engine = new();
        private readonly List<SimulatedConnection> _open = [];
        private readonly List<SimulatedConnection> _closed = [];
        private readonly List<PollEvent> _inFlight = [];
        private readonly List<PollEvent> _history = [];
        private byte _nextTag;
        private long _now = 1;
        private long _stale;
        private long _dispatched;

        internal void Run(ref long stale, ref long dispatched)
        {
            _engine.Kernel.Reorder = random;
            _engine.Kernel.KeepEventsOfUnregistered = random.Next(2) == 0;
            for (int step = 0; step < Steps; step++)
            {
                Step();
                Check();
            }

            Settle();
            CloseAll();
            stale += _stale;
            dispatched += _dispatched;
        }

        public void Dispose() => _engine.Dispose();

        private void Step()
        {
            SimulatedConnection? connection = _open.Count == 0 ? null : _open[random.Next(_open.Count)];
            switch (random.Next(14))
            {
                case 0 when _open.Count < MaxOpen:
                    _open.Add(new SimulatedConnection(_engine, _nextTag++));
                    break;
                case 1 when connection is not null && random.Next(3) == 0:
                    Close(connection);
                    break;
                case 2:
                    connection?.Feed(random.Next(1, 8));
                    break;
                case 3:
                    connection?.MakeRoom(random.Next(1, 8));
                    break;
                case 4:
                    connection?.Raise(Masks[random.Next(Masks.Length)]);
                    break;
                case 5:
                    connection?.Read();
                    break;
                case 6:
                    connection?.Write();
                    break;
                case 7:
                    List<PollEvent> fetched = _engine.Fetch();
                    _inFlight.AddRange(fetched);
                    _history.AddRange(fetched);
                    break;
                case 8 or 9 when _inFlight.Count != 0:
                    int index = random.Next(_inFlight.Count);
                    Dispatch(_inFlight[index]);
                    _inFlight.RemoveAt(index);
                    break;
                case 10 when _history.Count != 0:
                    DispatchFromThePast(_history[random.Next(_history.Count)]);
                    break;
                case 11:
                    _engine.RunOneTurn();
                    break;
                case 12 when connection is not null:
                    connection.Socket.WakeReader();
                    connection.Socket.WakeWriter();
                    break;
                case 13 when connection is not null:
                    _now += random.Next(5);
                    connection.SetDeadline((PollMode)random.Next(2), random.Next(3) switch
                    {
                        0 => PollDeadline.None,
                        1 => PollDeadline.Expired,
                        _ => _now + random.Next(1, 10),
                    });
                    _engine.FireDeadlines(_now);
                    break;
            }
        }

        private void Dispatch(PollEvent pollEvent)
        {
            PollDescriptor descriptor = _engine.Poller.Table.Find(pollEvent.Cookie.Slot)!;
            bool current = descriptor.Info.Fdseq == pollEvent.Cookie.Fdseq;
            Assert.Equal(current, _engine.Dispatch(pollEvent));
            _dispatched++;
            _stale += current ? 0 : 1;
        }

        // Of a past life only: a hang-up of this life that is reported again would be a second event, not a stale one.
        private void DispatchFromThePast(PollEvent pollEvent)
        {
            if (_open.TrueForAll(connection => connection.Poll.Cookie != pollEvent.Cookie))
            {
                Dispatch(pollEvent);
            }
        }

        private void Close(SimulatedConnection connection)
        {
            connection.Socket.Close();
            _open.Remove(connection);
            _closed.Add(connection);
        }

        private void Check()
        {
            foreach (SimulatedConnection connection in _open)
            {
                connection.Check();
                Assert.NotEqual(0u, connection.Poll.Info.Fdseq);
            }

            // A slot is free when its last waiter has left, which may be after the close.
            Assert.InRange(_engine.Poller.Table.OpenCount, _open.Count, _open.Count + _closed.Count(closed => closed.Parked != 0));
        }

        // Nothing is in flight any more: everybody who is parked must still be within reach of a real event.
        private void Settle()
        {
            _inFlight.ForEach(Dispatch);
            _engine.RunToQuiescence();
            foreach (SimulatedConnection connection in _open)
            {
                connection.Raise(LibC.EPOLLIN | LibC.EPOLLOUT);
                connection.SetDeadline(PollMode.Read, PollDeadline.None);
                connection.SetDeadline(PollMode.Write, PollDeadline.None);
                _engine.RunToQuiescence();
                connection.Read();
                connection.Write();
                Assert.Equal(2, connection.Parked);
                int written = connection.BytesWritten;

                connection.Feed(5);
                connection.MakeRoom(5);
                _engine.RunToQuiescence();
                Assert.Equal(connection.BytesFed, connection.BytesRead);
                Assert.Equal(written + 5, connection.BytesWritten);
                Assert.Equal(2, connection.Parked);
            }
        }

        private void CloseAll()
        {
            foreach (SimulatedConnection connection in _open.ToArray())
            {
                Close(connection);
            }

            _engine.RunToQuiescence();
            Assert.Equal(0, _closed.Sum(connection => connection.Parked));
            Assert.Equal(0, _engine.Poller.Table.OpenCount);
            for (uint slot = 0; slot < _engine.Poller.Table.Capacity; slot++)
            {
                PollDescriptor descriptor = _engine.Poller.Table.Find(slot)!;
                Assert.NotEqual(0u, descriptor.Info.Fdseq);
                Assert.NotEqual(PollSemaphore.Waiting, PollDescriptorFields.ReadSemaphore(descriptor).State);
                Assert.NotEqual(PollSemaphore.Waiting, PollDescriptorFields.WriteSemaphore(descriptor).State);
            }

            // Left are the poller's own two.
            Assert.Equal(0, _engine.Heap.Count);
            Assert.Equal(2, _engine.Kernel.OpenDescriptors);
        }
    }
}
