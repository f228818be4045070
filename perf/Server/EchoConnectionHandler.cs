using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Perf.Server;

/// <summary>Sends back what comes, without HTTP: what remains is the transport and Kestrel's bookkeeping of connections.</summary>
internal sealed class EchoConnectionHandler : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        PipeWriter output = connection.Transport.Output;
        while (true)
        {
            ReadResult read = await input.ReadAsync();
            foreach (ReadOnlyMemory<byte> segment in read.Buffer)
            {
                output.Write(segment.Span);
            }

            bool isEmpty = read.Buffer.IsEmpty;
            input.AdvanceTo(read.Buffer.End);
            if (!isEmpty && (await output.FlushAsync()).IsCompleted)
            {
                return;
            }

            if (read.IsCompleted)
            {
                return;
            }
        }
    }
}
