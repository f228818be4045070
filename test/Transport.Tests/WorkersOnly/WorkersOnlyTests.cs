using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using static KestrelNetpoll.Transport.Tests.WorkersOnly.WorkersOnlyServer;

namespace KestrelNetpoll.Transport.Tests.WorkersOnly;

/// <summary>Where the application runs with <see cref="ApplicationScheduling.WorkersOnly"/>.</summary>
[OneMode]
public sealed class WorkersOnlyTests
{
    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    public async Task A_handler_stays_on_workers_whatever_it_awaits(int workers, int groups)
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                List<string> places = [Where()];
                await Task.Delay(1);
                places.Add(Where());
                await Task.Yield();
                places.Add(Where());
                await Task.Run(static () => Thread.Sleep(1));
                places.Add(Where());
                await context.Response.WriteAsync(string.Join(',', places.Distinct()));
            },
            workers,
            groups);
        for (int connection = 0; connection < 4; connection++)
        {
            using RawClient client = await server.ConnectAsync();
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal(OnWorker, await GetAsync(client));
            }
        }
    }

    [Fact]
    public async Task With_several_groups_a_request_comes_back_to_its_own()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                var workers = (GroupContext)SynchronizationContext.Current!;
                bool own = workers.IsWorkerThread;
                await Task.Delay(1);
                own &= workers.IsWorkerThread && SynchronizationContext.Current == workers;
                await context.Response.WriteAsync(own.ToString());
            },
            workers: 4,
            groups: 4);
        for (int connection = 0; connection < 8; connection++)
        {
            using RawClient client = await server.ConnectAsync();
            Assert.Equal("True", await GetAsync(client));
        }
    }

    // One worker waits, another runs the continuation.
    [Fact]
    public async Task Waiting_for_a_task_of_the_own_request_is_no_deadlock()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            context =>
            {
                async Task<string> SlowAsync()
                {
                    await Task.Delay(1);
                    return Where();
                }

                return context.Response.WriteAsync(SlowAsync().Result);
            },
            workers: 2);
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(OnWorker, await GetAsync(client));
        }
    }

    [Fact]
    public async Task Continuations_of_one_request_may_run_at_the_same_time()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(
            async context =>
            {
                using var both = new Barrier(2);
                async Task<bool> MeetAsync()
                {
                    await Task.Yield();
                    return both.SignalAndWait(Patience.Limit);
                }

                bool[] met = await Task.WhenAll(MeetAsync(), MeetAsync());
                await context.Response.WriteAsync(met.All(static m => m).ToString());
            },
            workers: 2);
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("True", await GetAsync(client));
    }

    [Fact]
    public async Task What_leaves_the_context_runs_on_the_thread_pool()
    {
        await using TestServer server = await WorkersOnlyServer.StartAsync(async context =>
        {
            string run = await Task.Run(Where);
            await Task.Delay(1).ConfigureAwait(false);
            await context.Response.WriteAsync($"{run}, {Where()}");
        });
        using RawClient client = await server.ConnectAsync();
        Assert.Equal("pool, pool", await GetAsync(client));
        Assert.Equal("pool, pool", await GetAsync(client));
    }
}
