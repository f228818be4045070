using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Tests.Pipes;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>What is flushed within a turn is held until the application lets go of the worker, and no longer.</summary>
[Collection(nameof(Alone))]
public sealed class HoldingInTurnsTests
{
    [Fact]
    public Task Responses_to_pipelined_requests_leave_together() => Undisturbed.UsuallyAsync(static async () =>
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task app = pipe.RunOnWorker(() => AnswerLinesAsync(pipe, 16, static _ => default));
        await pipe.ParkedAsync();
        pipe.Send(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("request\n", 16))));
        pipe.ReceiveExactly(16 * 100);
        await app.InTime();
        return pipe.SystemCalls.Sends == 1;
    });

    [Fact]
    public async Task Kestrels_responses_to_pipelined_requests_leave_together()
    {
        const int Requests = 16;
        var systemCalls = new ScriptedKernel();
        await using TestServer server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
        {
            setup.SystemCalls = systemCalls;

            // On the thread pool a worker sends what is there when it is free, in the middle of the batch, too.
            setup.Netpoll = static options => options.ApplicationScheduling = ApplicationScheduling.Workers;
        });
        using RawClient client = await server.ConnectAsync();

        // The first one takes the connection to a worker.
        const string Request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        await client.SendAsync(Request);
        await client.ReadResponseAsync();
        await Undisturbed.UsuallyAsync(async () =>
        {
            int sends = systemCalls.Sends;
            await client.SendAsync(string.Concat(Enumerable.Repeat(Request, Requests)));
            for (int i = 0; i < Requests; i++)
            {
                Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            }

            return systemCalls.Sends - sends == 1;
        });
    }

    [Fact]
    public async Task A_request_that_is_incomplete_does_not_hold_the_responses_back()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task app = pipe.RunOnWorker(() => AnswerLinesAsync(pipe, 4, static _ => default));
        await pipe.ParkedAsync();
        pipe.Send("request\nrequest\nrequest\nrequ"u8);
        pipe.ReceiveExactly(3 * 100);
        Assert.False(app.IsCompleted);
        pipe.Send("est\n"u8);
        pipe.ReceiveExactly(100);
        await app.InTime();
    }

    [Fact]
    public async Task An_application_that_leaves_its_turn_holds_nothing_back()
    {
        await using var pipe = new SocketPipe(workers: 1);
        var first = new TaskCompletionSource();
        Task app = pipe.RunOnWorker(() => AnswerLinesAsync(pipe, 2, i => i == 0 ? new ValueTask(first.Task) : default));
        await pipe.ParkedAsync();
        pipe.Send("request\nrequest\n"u8);

        // The application waits for something else, with the second request still unparsed.
        pipe.ReceiveExactly(100);
        await Task.Run(first.SetResult);
        pipe.ReceiveExactly(100);
        Assert.Equal(2, pipe.SystemCalls.Sends);
        await app.InTime();
    }

    /// <summary>Another worker sends what the turn would send at its end, and what comes later is sent at once.</summary>
    [Fact]
    public async Task An_application_that_blocks_within_a_turn_keeps_nothing_from_the_peer()
    {
        await InATurnWithInputLeftAsync(static async pipe =>
        {
            await AnswerAsync(pipe, 100);
            pipe.ReceiveExactly(100);
            Assert.Equal(1, pipe.SystemCalls.Sends);
            await AnswerAsync(pipe, 100);

            // By this turn, or by the worker that has just sent the first one, if that is not quite done.
            pipe.ReceiveExactly(100);
            Assert.Equal(2, pipe.SystemCalls.Sends);
        });
    }

    [Fact]
    public Task An_application_that_computes_for_long_within_a_turn_keeps_nothing_from_the_peer() => Undisturbed.UsuallyAsync(static async () =>
    {
        bool heldBack = false;
        await InATurnWithInputLeftAsync(async pipe =>
        {
            await pipe.Writer.WriteAsync(new byte[100]);
            heldBack = pipe.SystemCalls.Sends == 0;
            while (pipe.SystemCalls.Sends == 0)
            {
                Thread.SpinWait(10);
            }

            await pipe.Writer.WriteAsync(new byte[100]);
            pipe.ReceiveExactly(200);
            Assert.Equal(2, pipe.SystemCalls.Sends);
        });
        return heldBack;
    });

    [Fact]
    public Task Pieces_of_a_response_leave_together() => Undisturbed.UsuallyAsync(static async () =>
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task app = pipe.RunOnWorker(async () =>
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.End);
            await AnswerAsync(pipe, 100);
            await AnswerAsync(pipe, 10_000);
            await AnswerAsync(pipe, 5);
        });
        await pipe.ParkedAsync();
        pipe.Send("request"u8);
        pipe.ReceiveExactly(10_105);
        await app.InTime();
        return pipe.SystemCalls.Sends == 1;
    });

    /// <summary>The application goes on after the read that finds nothing, and blocks: nobody waits for that.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_that_finds_nothing_sends_what_is_held(bool tryRead)
    {
        await using var pipe = new SocketPipe(workers: 1);
        await pipe.RunOnWorker(async () =>
        {
            await AnswerAsync(pipe, 100);
            if (tryRead)
            {
                Assert.False(pipe.Reader.TryRead(out _));
                pipe.Reader.AdvanceTo(default);
                Assert.Equal((false, 1), (pipe.Writer.HoldsOutput, pipe.SystemCalls.Sends));
                return;
            }

            ValueTask<ReadResult> read = pipe.Reader.ReadAsync();
            Assert.Equal((false, 1), (pipe.Writer.HoldsOutput, pipe.SystemCalls.Sends));
            pipe.Reader.CancelPendingRead();
            await read;
        }).InTime();
        pipe.ReceiveExactly(100);
    }

    /// <summary>A hub that sends to all its clients from within one of them.</summary>
    [Fact]
    public async Task What_a_turn_writes_to_other_connections_leaves_at_its_end()
    {
        const int Others = 100;
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, Name = "test" });
        SocketPipe[] pipes = [.. Enumerable.Range(0, Others).Select(_ => new SocketPipe(runtime: runtime))];
        await pipes[0].RunOnWorker(async () =>
        {
            foreach (SocketPipe pipe in pipes)
            {
                await AnswerAsync(pipe, 10);
                await AnswerAsync(pipe, 10);
            }
        }).InTime();
        Assert.All(pipes, static pipe => pipe.ReceiveExactly(20));
        foreach (SocketPipe pipe in pipes)
        {
            await pipe.DisposeAsync();
        }
    }

    [Fact]
    public async Task Much_is_not_held()
    {
        await using var pipe = new SocketPipe(workers: 1);
        await pipe.RunOnWorker(async () =>
        {
            await AnswerAsync(pipe, SocketPipeWriter.MaxHeldBytes - 1);
            await AnswerAsync(pipe, 1);
            Assert.False(pipe.Writer.HoldsOutput);
        }).InTime();
        pipe.ReceiveExactly(SocketPipeWriter.MaxHeldBytes);
    }

    [Fact]
    public async Task Nothing_is_held_that_reaches_the_limit()
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: 1_000, workers: 1);
        await pipe.RunOnWorker(async () =>
        {
            await AnswerAsync(pipe, 1_000);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        }).InTime();
        pipe.ReceiveExactly(1_000);
    }

    [Fact]
    public async Task Nothing_is_held_once_the_peer_has_finished()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Assert.True(pipe.Writer.FlushBeforeEnd());
        await pipe.RunOnWorker(async () =>
        {
            for (int i = 1; i <= 10; i++)
            {
                await AnswerAsync(pipe, 10);
                Assert.Equal(i, pipe.SystemCalls.Sends);
            }
        }).InTime();
        pipe.ReceiveExactly(100);
    }

    /// <summary>A peer that takes everything does not keep the worker to itself.</summary>
    [Fact]
    public async Task A_turn_that_has_sent_its_share_lets_others_run()
    {
        const int Block = 64 * 1024;
        const int Blocks = 400;
        await using var pipe = new SocketPipe(workers: 1);
        pipe.SystemCalls.Swallows = true;
        bool ends = false;
        RepeatedTurn others = new(pipe.Socket.Group, () => !ends);
        pipe.Socket.Group.Schedule(others);
        Task download = pipe.RunOnWorker(async () =>
        {
            for (int i = 0; i < Blocks; i++)
            {
                Assert.False((await pipe.Writer.WriteAsync(new byte[Block])).IsCompleted);
                Assert.True(pipe.OnWorker);
            }

            ends = true;
        });
        await download.InTime();

        // Four blocks are a share.
        Assert.InRange(others.Runs, Blocks / 8, int.MaxValue);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Draining_and_completing_send_what_is_held_back(bool drain) => Undisturbed.UsuallyAsync(async () =>
    {
        bool heldBack = false;
        await InATurnWithInputLeftAsync(async pipe =>
        {
            await AnswerAsync(pipe, 100);
            heldBack = pipe.SystemCalls.Sends == 0;
            if (drain)
            {
                await pipe.Writer.DrainAsync().InTime();
            }
            else
            {
                pipe.Writer.Complete();
            }

            pipe.ReceiveExactly(100);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        });
        return heldBack;
    });

    // Runs the function in a turn of the reader, after it has consumed one of two requests.
    private static async Task InATurnWithInputLeftAsync(Func<SocketPipe, Task> function, int maxWriteBufferSize = 0)
    {
        await using var pipe = new SocketPipe(maxWriteBufferSize: maxWriteBufferSize, workers: 1);
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task app = pipe.RunOnWorker(async () =>
        {
            Task going = ReadAsync();
            waiting.SetResult();
            await going;
        });

        // Both: a busy machine may stop the worker in the middle of the turn for so long that another one runs what comes after it.
        await waiting.Task.InTime();
        await pipe.ParkedAsync();
        pipe.Send("request\nrequest\n"u8);
        await app.InTime();

        async Task ReadAsync()
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.GetPosition(8));
            Assert.True(pipe.Reader.IsTurnOfCurrentThread);
            await function(pipe);
        }
    }

    // One response of 100 bytes for each line, as an HTTP/1 server does it.
    private static async Task AnswerLinesAsync(SocketPipe pipe, int count, Func<int, ValueTask> afterAnswer)
    {
        for (int answered = 0; answered < count;)
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            if (result.Buffer.PositionOf((byte)'\n') is not { } end)
            {
                pipe.Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }

            pipe.Reader.AdvanceTo(result.Buffer.GetPosition(1, end));
            await AnswerAsync(pipe, 100);
            await afterAnswer(answered++);
        }
    }

    private static async Task AnswerAsync(SocketPipe pipe, int length)
    {
        pipe.Writer.GetSpan(length)[..length].Fill(1);
        pipe.Writer.Advance(length);
        Assert.False((await pipe.Writer.FlushAsync()).IsCompleted);
    }

    // Short work behind whatever else is queued, as often as it is wanted.
    private sealed class RepeatedTurn(WorkerGroup group, Func<bool> again) : Turn
    {
        internal int Runs { get; private set; }

        internal override void Run()
        {
            Runs++;
            if (again())
            {
                group.Schedule(this);
            }
        }

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }
}
