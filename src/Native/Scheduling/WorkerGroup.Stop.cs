namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The end. Every worker leaves after its turn, and what is queued then, or comes later, runs on the thread pool: once the last worker has
/// left, or, if one of them stays in its turn for too long, once the group is abandoned.
/// </summary>
/// <remarks>
/// Nobody must be left to wait for a worker that does not come:
/// <code>
///  publisher, or a worker that leaves          whoever abandons the group
///  1 put the turn into the group's queue       1 say so
///  2 full fence                                2 full fence
///  3 abandoned? run what is queued             3 run what is queued, here and at the processors
/// </code>
/// A worker whose turn ends after all takes from its processor's queue what has not been taken from it, and leaves.
/// </remarks>
internal sealed partial class WorkerGroup
{
    private volatile bool _abandoned;

    /// <summary>Tells the workers to leave after their current turn. Does not wait.</summary>
    internal void RequestStop()
    {
        Pool.RequestStop();
        _idle.Close();
        Poller.Wake();
    }

    /// <summary>Waits for the workers to leave, but not for the calling thread. Returns how many are still inside turns.</summary>
    internal int WaitForWorkers(long deadline) => Pool.Join(_current.Value, deadline);

    /// <summary>After <see cref="RequestStop"/>: a turn does not end, or waits for the end itself. What waits behind it, or will, does not
    /// wait any longer.</summary>
    internal void Abandon()
    {
        _abandoned = true;
        Interlocked.MemoryBarrier();
        RunQueue stolen = new();
        foreach (Processor processor in _processors)
        {
            // As a thief: the turn may end at this very moment.
            while (processor.Queue.StealInto(stolen) != 0)
            {
                MoveToGroup(stolen);
            }
        }

        SendAllHeld();
        DrainToThreadPool();
    }

    /// <summary>What the processor has not run is left to the others, or to the last worker that leaves.</summary>
    internal void GiveUp(Processor processor)
    {
        MoveToGroup(processor.Queue);
        processor.Forget();
    }

    internal void OnWorkerStopped(Worker worker)
    {
        Leave(Pool.LeaveAsWorker(worker));
        Pool.Forget(worker);
    }

    private void Leave(bool last)
    {
        // The count of workers was the fence: see above.
        if (last || _abandoned)
        {
            DrainToThreadPool();
        }

        if (last)
        {
            Poller.Dispose();
        }
        else if (Stopping)
        {
            // One signal wakes one worker; hand it on until all have gone.
            Poller.Wake();
        }
    }

    private void MoveToGroup(RunQueue queue)
    {
        while (queue.TryPop(out Turn? turn))
        {
            _queue.Enqueue(turn);
        }
    }

    private void DrainToThreadPool()
    {
        while (_queue.TryDequeue(out Turn? turn))
        {
            ThreadPoolQueue.Add(static turn => Worker.RunGuarded(turn), turn);
        }
    }
}
