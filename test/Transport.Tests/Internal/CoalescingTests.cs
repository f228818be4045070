using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Internal;

/// <summary>When a flush within a turn is sent at once, and when with what follows.</summary>
public sealed class CoalescingTests
{
    [Fact]
    public Task Responses_to_pipelined_requests_leave_together() => Undisturbed.OnceAsync(static async () =>
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
        var systemCalls = new ScriptedSystemCalls();
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
        await Undisturbed.OnceAsync(async () =>
        {
            int sends = systemCalls.Sends;
            await client.SendAsync(string.Concat(Enumerable.Repeat(Request, Requests)));
            for (int i = 0; i < Requests; i++)
            {
                Assert.Equal("Hello, World!", (await client.ReadResponseAsync()).Text);
            }

            // The last response is flushed twice, and nothing that is worth waiting for comes behind it.
            return systemCalls.Sends - sends <= 2;
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
    public Task An_application_that_computes_for_long_within_a_turn_keeps_nothing_from_the_peer() => Undisturbed.OnceAsync(static async () =>
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
    public async Task Much_is_not_held_back()
    {
        await InATurnWithInputLeftAsync(static async pipe =>
        {
            await AnswerAsync(pipe, 70_000);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        });
    }

    [Fact]
    public async Task Nothing_is_held_back_that_reaches_the_limit()
    {
        await InATurnWithInputLeftAsync(
            static async pipe =>
            {
                await AnswerAsync(pipe, 1_000);
                Assert.Equal(1, pipe.SystemCalls.Sends);
            },
            maxWriteBufferSize: 1_000);
    }

    [Fact]
    public async Task Nothing_is_held_back_while_the_application_holds_a_result()
    {
        await using var pipe = new SocketPipe(workers: 1);
        pipe.Send("request\nrequest\n"u8);
        await pipe.RunOnWorker(async () =>
        {
            await pipe.Reader.ReadAsync();
            await AnswerAsync(pipe, 100);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        }).InTime();
        pipe.ReceiveExactly(100);
    }

    [Fact]
    public async Task Nothing_is_held_back_when_all_input_has_been_examined()
    {
        await using var pipe = new SocketPipe(workers: 1);
        Task app = pipe.RunOnWorker(async () =>
        {
            ReadResult result = await pipe.Reader.ReadAsync();
            pipe.Reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            await AnswerAsync(pipe, 100);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        });
        await pipe.ParkedAsync();
        pipe.Send("requ"u8);
        await app.InTime();
        pipe.ReceiveExactly(100);
    }

    [Fact]
    public async Task Nothing_is_held_back_outside_of_a_turn()
    {
        await using var pipe = new SocketPipe(workers: 1);
        pipe.Send("request\nrequest\n"u8);
        ReadResult result = await pipe.Reader.ReadAsync();
        await Task.Run(async () =>
        {
            pipe.Reader.AdvanceTo(result.Buffer.GetPosition(8));
            await AnswerAsync(pipe, 100);
            Assert.Equal(1, pipe.SystemCalls.Sends);
        }).InTime();
        pipe.ReceiveExactly(100);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Draining_and_completing_send_what_is_held_back(bool drain) => Undisturbed.OnceAsync(async () =>
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
}
