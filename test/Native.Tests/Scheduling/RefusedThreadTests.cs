using System.Diagnostics;
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
    private const int Turns = 20;

    /// <summary>In a process of its own, which is this program, with the other test only.</summary>
    [Fact]
    public async Task A_process_that_gets_no_thread_goes_on_with_those_that_it_has()
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

        // The runtime's own threads that come and go are not what this is about.
        start.Environment["DOTNET_TieredCompilation"] = "0";
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
        using ManualResetEventSlim release = new();
        using ManualResetEventSlim told = new();
        int done = 0;
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions
        {
            WorkerCount = 1,
            MaxWorkerCount = 1000,
            Resources = new FakeResources(),
            OnWorkerLimitReached = _ => told.Set(),
        });
        CallbackTurn[] turns = [.. Enumerable.Range(0, Turns).Select(_ => new CallbackTurn(() =>
        {
            // The pool wants more threads than it has for these.
            ThreadPoolQueue.Add(static state => state.Wait(), release);
            release.Wait();
            Interlocked.Increment(ref done);
        }))];
        File.WriteAllText(limit, File.ReadAllText(Path.Combine(folder, "pids.current")));
        foreach (CallbackTurn turn in turns)
        {
            runtime.Groups[0].Schedule(turn);
        }

        Patience.Until(() => runtime.GetStatistics().WorkerLimitReached != 0, "a worker is refused");
        for (int i = 0; i < 2 * Environment.ProcessorCount; i++)
        {
            ThreadPoolQueue.Add(static state => state.Wait(), release);
        }

        Assert.Equal(0, done);
        File.WriteAllText(limit, "max");
        release.Set();
        Patience.Until(() => Volatile.Read(ref done) == Turns, "all turns have run");
        told.WaitInTime("the refusal is told");
    }
}
