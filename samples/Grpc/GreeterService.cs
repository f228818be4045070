using Grpc.Core;

namespace GrpcSample;

/// <summary>What is served.</summary>
internal sealed class GreeterService : Greeter.GreeterBase
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public override Task<Answer> Greet(Greeting request, ServerCallContext context) =>
        Task.FromResult(new Answer { Text = $"Hello, {request.Name}!" });

    public override async Task Count(CountRequest request, IServerStreamWriter<Answer> responseStream, ServerCallContext context)
    {
        for (int i = 1; i <= request.UpTo; i++)
        {
            await responseStream.WriteAsync(new Answer { Text = $"{i} for {request.Name}" }, context.CancellationToken);
            await Task.Delay(Pause, context.CancellationToken);
        }
    }
}
