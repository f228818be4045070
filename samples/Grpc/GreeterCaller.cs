using Grpc.Core;
using Grpc.Net.Client;

namespace GrpcSample;

/// <summary>The other side.</summary>
internal static class GreeterCaller
{
    /// <returns>The exit code.</returns>
    internal static async Task<int> CallAsync(string address, string name)
    {
        using GrpcChannel channel = GrpcChannel.ForAddress(address);
        var greeter = new Greeter.GreeterClient(channel);
        try
        {
            Console.WriteLine((await greeter.GreetAsync(new Greeting { Name = name })).Text);
            using AsyncServerStreamingCall<Answer> count = greeter.Count(new CountRequest { Name = name, UpTo = 3 });
            await foreach (Answer answer in count.ResponseStream.ReadAllAsync())
            {
                Console.WriteLine(answer.Text);
            }

            return 0;
        }
        catch (RpcException e)
        {
            Console.Error.WriteLine($"{e.StatusCode}: {e.Status.Detail}");
            return 1;
        }
    }
}
