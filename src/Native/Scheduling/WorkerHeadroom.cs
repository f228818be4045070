using System.Globalization;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many workers there may be beside what else the process needs: the thread pool, timers, the garbage collector, the socket engine of
/// <c>HttpClient</c>, child processes. .NET gives up when it needs a thread and there is none. Not thread-safe.
/// </summary>
/// <remarks>
/// <code>
///             is left to the rest                                            workers get
///   threads   a quarter of the limit, at most 128, at least 16               all else
///             and one for each processor
///   memory    a quarter of the limit, at least 32 and at most 512 MiB        16 at a time, or as many as fit, with all their stack, into
///                                                                            an eighth of all else; then memory is looked at again
///   both      at most four fifths of what would be free if the runtime had   so that there is a little for workers wherever
///             no more workers than it began with                             anything is free
/// </code>
/// What a worker takes in memory is not known before: its turn may use a little of its stack and heap, or much. So there is no number for
/// it, but a new look after every few workers. The workers that the runtime begins with are never too many.
/// </remarks>
internal sealed class WorkerHeadroom(SystemResources resources, int processorCount)
{
    internal const int LeastThreadsLeft = 16;
    internal const int MostThreadsLeft = 128;
    internal const long LeastMemoryLeft = 32 * Mebibyte;
    internal const long MostMemoryLeft = 512 * Mebibyte;

    /// <summary>Workers that start between two looks at the memory, even if their stacks might need more than there is.</summary>
    internal const int SmallStep = 16;

    private const long Mebibyte = 1024 * 1024;
    private const int ShareOfRest = 4;
    private const int ShareOfWorkers = 5;
    private const int ShareOfStep = 8;

    // What .NET reserves for a thread's stack, and what one takes that has done little: two stacks in the kernel and in the process, and
    // the heap.
    private const long StackSize = 3 * Mebibyte / 2;
    private const long LittleUsed = 128 * 1024;

    /// <summary>Threads that are left to the rest where there are plenty.</summary>
    internal int ThreadsLeft { get; } = LeastThreadsLeft + processorCount;

    /// <summary>Why the last look has found nothing out, for the log: the half of a sentence.</summary>
    internal string? Obstacle => resources.Obstacle;

    /// <summary>Looks at what there is.</summary>
    /// <param name="workers">That there are now.</param>
    /// <param name="initial">That the runtime has begun with.</param>
    /// <returns>Null: it could not be found out now.</returns>
    internal WorkerAllowance? Read(int workers, int initial)
    {
        if (!resources.TryRead(out ResourceReading threads, out ResourceReading memory))
        {
            return null;
        }

        int extra = Math.Max(0, workers - initial);
        long threadsLeft = AtMost(
            Math.Max(Math.Min(threads.Limit / ShareOfRest, MostThreadsLeft), ThreadsLeft),
            Math.Max(0, threads.Left) + extra);
        long byThreads = threads.Left - threadsLeft;

        long memoryLeft = AtMost(
            Math.Clamp(memory.Limit / ShareOfRest, LeastMemoryLeft, MostMemoryLeft),
            Math.Max(0, memory.Left) + (extra * LittleUsed));
        long room = memory.Left - memoryLeft;
        long byMemory = Math.Max(Math.Min(room / LittleUsed, SmallStep), room / ShareOfStep / StackSize);
        if (room < 0)
        {
            byMemory = room / LittleUsed;
        }

        bool memoryIsTighter = byMemory < byThreads;
        long more = Math.Min(byThreads, byMemory);
        return new WorkerAllowance(
            (int)Math.Clamp(workers + more, initial, int.MaxValue),
            IsFull: more <= 0,
            memoryIsTighter ? memory : threads,
            memoryIsTighter ? memoryLeft : threadsLeft,
            memoryIsTighter);
    }

    // Where little is free, a part of it is for workers all the same.
    private static long AtMost(long left, long free) => Math.Min(left, free - (free / ShareOfWorkers));
}

/// <summary>What a look at the resources has found.</summary>
/// <param name="Ceiling">So many workers there may be until the next look.</param>
/// <param name="IsFull">There is no room for one more.</param>
/// <param name="Reading">Of the resource that is the tighter one.</param>
/// <param name="LeftToRest">How much of it is left to the rest of the process.</param>
/// <param name="IsMemory">It is memory, and otherwise threads.</param>
internal readonly record struct WorkerAllowance(int Ceiling, bool IsFull, ResourceReading Reading, long LeftToRest, bool IsMemory)
{
    private const long Mebibyte = 1024 * 1024;

    /// <summary>For the log: the half of a sentence.</summary>
    internal string Describe() => IsMemory
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"{Reading.Used / Mebibyte} of {Reading.Limit / Mebibyte} MiB of memory ({Reading.Source}) are in use, "
                + $"{LeftToRest / Mebibyte} MiB are left to the rest of the process")
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{Reading.Used} of {Reading.Limit} threads ({Reading.Source}) are in use, {LeftToRest} are left to the rest of the process");
}
