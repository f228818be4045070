using System.IO.Pipelines;

namespace KestrelNetpoll.Transport.Pipes;

/// <summary>The two ends of a connection that the application sees.</summary>
internal sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
{
    public PipeReader Input { get; } = input;

    public PipeWriter Output { get; } = output;
}
