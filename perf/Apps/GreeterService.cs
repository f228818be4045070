using Grpc.Core;
using KestrelNetpoll.Perf.Apps.Grpc;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>gRPC: one answer, and a stream of them.</summary>
internal sealed class GreeterService : Greeter.GreeterBase
{
    public override Task<GreetReply> Greet(GreetRequest request, ServerCallContext context) =>
        Task.FromResult(new GreetReply { Message = "Hello, " + request.Name });

    public override async Task GreetAll(GreetRequest request, IServerStreamWriter<GreetReply> responseStream, ServerCallContext context)
    {
        var reply = new GreetReply { Message = "Hello, " + request.Name };
        for (int i = 0; i < request.Count; i++)
        {
            await responseStream.WriteAsync(reply, context.CancellationToken);
        }
    }
}
