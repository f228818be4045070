using System.Net;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>A request body that its owner writes while the response is already coming.</summary>
internal sealed class DuplexContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The stream to write to, once the client has begun to send.</summary>
    internal Task<Stream> Started => _started.Task;

    internal async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        Stream stream = await _started.Task.InTime();
        await stream.WriteAsync(bytes).InTime();
        await stream.FlushAsync().InTime();
    }

    /// <summary>Ends the body.</summary>
    internal void Finish() => _finished.TrySetResult();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        // The request headers leave now, without waiting for the first bytes of the body.
        await stream.FlushAsync();
        _started.TrySetResult(stream);
        await _finished.Task;
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        Finish();
        base.Dispose(disposing);
    }
}
