using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.WorkersOnly;

/// <summary>
/// The border between Kestrel's code, which knows no synchronization context, and the application's, which runs on workers, under the
/// context of their group. Requests of other transports pass through.
/// </summary>
/// <remarks>
/// The context must be gone before Kestrel goes on: where there is one, the framework does not run a continuation inline that captured
/// none, so that Kestrel would go on on the thread pool.
/// </remarks>
internal sealed class WorkersOnlyMiddleware(RequestDelegate pipeline)
{
    internal Task InvokeAsync(HttpContext context)
    {
        // What a request does not have, it takes from its connection.
        if (context.Features[typeof(GroupContext)] is not GroupContext workers)
        {
            return pipeline(context);
        }

        if (!workers.IsWorkerThread)
        {
            return InvokeOnWorkerAsync(context, workers);
        }

        SynchronizationContext? previous = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(workers);
        try
        {
            Task running = pipeline(context);
            return running.IsCompleted ? running : LeaveAfterAsync(running);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(previous);
        }
    }

    private async Task InvokeOnWorkerAsync(HttpContext context, GroupContext workers)
    {
        await workers.SwitchToWorker();
        try
        {
            await pipeline(context);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }

    // Captures the context, so that Kestrel, which awaits this, goes on on a worker wherever the application has ended.
    private static async Task LeaveAfterAsync(Task running)
    {
        try
        {
            await running;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }
}
