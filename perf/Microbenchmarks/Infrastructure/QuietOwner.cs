using KestrelNetpoll.Transport.Pipes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Perf.Microbenchmarks.Infrastructure;

/// <summary>The connection behind a reader or a writer, which has nothing to do while nothing fails.</summary>
internal sealed class QuietOwner : ISocketPipeOwner
{
    public string ConnectionId => "benchmark";

    public ILogger Logger => NullLogger.Instance;

    public bool PrefersThreadPool => false;

    public Exception? AbortReason => null;

    public void OnInputEnded(Exception? error)
    {
    }

    public void OnOutputFailed(Exception error) => throw new InvalidOperationException("Sending failed.", error);

    public void OnOutputEnded()
    {
    }

    public void OnOutputBroken(Exception error) => throw new InvalidOperationException("Nobody writes an error.", error);

    public void OnSendingStopped(bool mayClose)
    {
    }

    public void OnWriteDeadlinePassed() => throw new InvalidOperationException("There is no deadline.");

    public void OnUnexpectedException(Exception exception) => throw new InvalidOperationException("A turn failed.", exception);
}
