using System.Diagnostics;
using System.Runtime.ExceptionServices;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>
/// The system refuses a thread, although there seemed to be room. Nothing of ours may end the process for that, neither where a worker is
/// to start, nor where the thread pool wants a thread for what is queued to it.
/// </summary>
[Collection(nameof(Alone))]
public sealed class RefusedThreadTests
{
    private const string Variable = "NETPOLL_TEST_GROUP";
    private const string AsItemVariable = "NETPOLL_TEST_AS_ITEM";
    private const int Turns = 20;
    private static readonly TimeSpan IdleTime = TimeSpan.FromMilliseconds(20);

    /// <summary>In a process of its own, which is this program, with the other test only.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_process_that_gets_no_thread_goes_on_with_those_that_it_has(bool asItem)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "There is no /bin/sh here.");
        using LimitedGroup group = LimitedGroup.OfThreadsOrSkip(1000);
        ProcessStartInfo start = new("/bin/sh", ["-c", $"echo $$ > '{group.Members}' && exec \"$0\" \"$@\"", Environment.ProcessPath!])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(RefusedThreadTests).Assembly.Location);
        }

        string[] arguments = ["-explicit", "only", "-method", $"{typeof(RefusedThreadTests).FullName}.{nameof(Without_threads)}"];
        Array.ForEach(arguments, start.ArgumentList.Add);
        start.Environment[Variable] = group.PathOf("");
        start.Environment[AsItemVariable] = asItem.ToString();

        // The runtime's own threads that come and go are not what this is about.
        start.Environment["DOTNET_TieredCompilation"] = "0";

        // After which an idle thread of the pool ends.
        start.Environment["DOTNET_ThreadPool_ThreadTimeoutMs"] = $"{IdleTime.Milliseconds:X}";
        using var child = Process.Start(start)!;
        try
        {
            Task<string> output = child.StandardOutput.ReadToEndAsync();
            Task<string> errors = child.StandardError.ReadToEndAsync();
            await child.WaitForExitAsync().InTime();
            string all = await output + await errors;
            Assert.True(child.ExitCode == 0, all);
            Assert.Contains("Total: 1", all, StringComparison.Ordinal);
        }
        finally
        {
            child.Kill();
        }
    }

    [Fact(Explicit = true)]
    public void Without_threads()
    {
        string? folder = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(folder is null, $"It is the child process of another test, which sets {Variable}.");
        string limit = Path.Combine(folder, "pids.max");
        bool asItem = bool.Parse(Environment.GetEnvironmentVariable(AsItemVariable)!);
        using ManualResetEventSlim told = new();
        using Blockade pool = new();
        int done = 0;
        int refusals = 0;
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions
        {
            WorkerCount = 1,
            MaxWorkerCount = 1000,
            Resources = new FakeResources(),
            OnWorkerLimitReached = _ => told.Set(),
        });
        CallbackTurn[] turns = [.. Enumerable.Range(0, Turns).Select(_ => new CallbackTurn(() =>
        {
            Add();
            pool.WaitForRelease();
            Interlocked.Increment(ref done);
        }))];

        // When it is released, it goes on with whatever is queued: a pool without any thread does not recover from having been refused one.
        ThreadPool.UnsafeQueueUserWorkItem(pool, preferLocal: false);
        AwaitPoolWithoutIdleThreads();
        AppDomain.CurrentDomain.FirstChanceException += CountRefusals;
        File.WriteAllText(limit, File.ReadAllText(Path.Combine(folder, "pids.current")));
        foreach (CallbackTurn turn in turns)
        {
            runtime.Groups[0].Schedule(turn);
        }

        Patience.Until(() => runtime.GetStatistics().WorkerLimitReached != 0, "a worker is refused");
        Add();
        AppDomain.CurrentDomain.FirstChanceException -= CountRefusals;

        Assert.Equal(0, done);
        File.WriteAllText(limit, "max");
        pool.Release();
        Patience.Until(() => Volatile.Read(ref done) == Turns, "all turns have run");
        Patience.Until(() => pool.Done == Turns + 2, "the pool has run what it had no thread for");
        told.WaitInTime("the refusal is told");

        // Otherwise nothing of this was tried.
        Assert.NotEqual(0, refusals);

        void Add()
        {
            if (asItem)
            {
                ThreadPoolQueue.Add(pool);
            }
            else
            {
                ThreadPoolQueue.Add(static pool => pool.Execute(), pool);
            }
        }

        // Those of threads for the pool, not of workers.
        void CountRefusals(object? sender, FirstChanceExceptionEventArgs e)
        {
            if (ThreadPoolQueue.IsRefusal(e.Exception) && Environment.StackTrace.Contains(".PortableThreadPool", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref refusals);
            }
        }
    }

    /// <summary>
    /// Until the pool has no idle thread, and would start one for whatever it is given, as with many processors. If one of its own threads
    /// were refused another, that would end the process, and nothing here could keep it from that.
    /// </summary>
    private static void AwaitPoolWithoutIdleThreads()
    {
        // What the test runner keeps busy stays.
        const int Looks = 10;
        ThreadPool.GetMinThreads(out _, out int completionThreads);
        Assert.True(ThreadPool.SetMinThreads(10 * Turns, completionThreads));
        int last = -1;
        int same = 0;
        Patience.Until(
            () =>
            {
                Thread.Sleep(IdleTime);
                int now = ThreadPool.ThreadCount;
                same = now == last ? same + 1 : 0;
                last = now;
                return same == Looks;
            },
            "the idle threads of the pool have ended");
    }

    /// <summary>Work for the thread pool that waits until it is released.</summary>
    private sealed class Blockade : IThreadPoolWorkItem, IDisposable
    {
        private readonly ManualResetEventSlim _release = new();
        private int _done;

        internal int Done => Volatile.Read(ref _done);

        public void Execute()
        {
            _release.Wait();
            Interlocked.Increment(ref _done);
        }

        public void Dispose() => _release.Dispose();

        internal void WaitForRelease() => _release.Wait();

        internal void Release() => _release.Set();
    }
}
