using Grpc.Core;
using Grpc.Net.Client;

namespace GrpcSample;

/// <summary>The other side.</summary>
internal static class GreeterCaller
{
    /// <returns>The exit code.</returns>
    internal static async Task<int> CallAsync(string address, string name)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? server) || server.Scheme is not ("http" or "https"))
        {
            Console.Error.WriteLine($"--call is '{address}'; it must be an address, such as http://localhost:5000.");
            return 2;
        }

        using GrpcChannel channel = GrpcChannel.ForAddress(server);
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
