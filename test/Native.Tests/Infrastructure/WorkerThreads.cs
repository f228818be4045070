using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>The threads of one runtime, found by name in /proc.</summary>
internal static class WorkerThreads
{
    private static int _runtimes;

    /// <summary>A runtime whose threads no other test has.</summary>
    internal static NetpollRuntime CreateRuntime(int workerCount, out string name, SystemCalls? systemCalls = null)
    {
        name = NewName();
        NetpollRuntimeOptions options = new()
        {
            WorkerCount = workerCount,
            Name = name,

            // Kernels of tests are about epoll.
            Backend = systemCalls is null ? SuiteBackend.Chosen : PollerBackend.Epoll,
        };
        return new NetpollRuntime(options, systemCalls);
    }

    /// <summary>
    /// One whose turns stay with the worker that began them, for tests of order or of a single thread: on a busy machine a turn that does nothing
    /// may take 10 ms, and then the next one runs beside it.
    /// </summary>
    internal static NetpollRuntime CreateRuntimeWithoutHandOff(int workerCount, out string name)
    {
        name = NewName();
        return new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = workerCount, HandsOff = false, Name = name, Backend = SuiteBackend.Chosen });
    }

    /// <summary>The kernel keeps 15 bytes of a thread's name.</summary>
    internal static string NewName() => $"w{Interlocked.Increment(ref _runtimes)}x";

    /// <summary>
    /// For a runtime with one worker: returns after that has dispatched what it had fetched, since a turn runs only after that.
    /// </summary>
    internal static void WaitForTurn(this NetpollRuntime runtime)
    {
        CallbackTurn turn = new();
        runtime.Groups[0].Schedule(turn);
        Patience.Until(() => turn.Runs == 1, "a turn runs");
    }

    internal static int Count(string name) => CountByName($"{name} worker");

    internal static int CountMonitors(string name) => CountByName($"{name} monitor");

    private static int CountByName(string prefix)
    {
        int count = 0;
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            try
            {
                count += File.ReadAllText($"{task}/comm").StartsWith(prefix, StringComparison.Ordinal) ? 1 : 0;
            }
            catch (IOException)
            {
                // The thread ended in between.
            }
        }

        return count;
    }
}
