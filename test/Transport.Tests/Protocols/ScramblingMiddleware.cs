using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>Connection middleware that changes every byte that passes, in pipes that are not the transport's.</summary>
internal static class ScramblingMiddleware
{
    internal static byte[] Scrambled(string text) => Scrambled(Encoding.Latin1.GetBytes(text));

    internal static byte[] Scrambled(byte[] bytes) => [.. bytes.Select(static b => (byte)(b ^ 0x5A))];

    internal static void Use(ListenOptions options) => options.Use(static next => async connection =>
    {
        IDuplexPipe transport = connection.Transport;
        var input = new Pipe();
        var output = new Pipe();
        connection.Transport = new DuplexPipe(input.Reader, output.Writer);
        Task receiving = CopyAsync(transport.Input, input.Writer);
        Task sending = CopyAsync(output.Reader, transport.Output);
        try
        {
            await next(connection);
            await output.Writer.CompleteAsync();
            await sending;

            // The client may have nothing more to say.
            transport.Input.CancelPendingRead();
            await receiving;
        }
        finally
        {
            connection.Transport = transport;
        }
    });

    private static async Task CopyAsync(PipeReader from, PipeWriter to)
    {
        Exception? error = null;
        try
        {
            while (true)
            {
                ReadResult read = await from.ReadAsync();
                if (read.IsCanceled)
                {
                    break;
                }

                FlushResult flush = await to.WriteAsync(Scrambled(read.Buffer.ToArray()));
                from.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted || flush.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (Exception e) when (e is ConnectionResetException or ConnectionAbortedException)
        {
            error = e;
        }

        await to.CompleteAsync(error);
        await from.CompleteAsync(error);
    }

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
