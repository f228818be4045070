using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>A client that does not read its response: the application has to wait, and the server holds little.</summary>
public class DownloadBackPressureTests
{
    private const int BodySize = 24 * 1024 * 1024;
    private const int Chunk = 10_000;

    // The head of the response, and what TLS puts around each record.
    private const int Overhead = 64 * 1024;

    // All of them where it matters most; the other modes differ in where the application runs.
    public static TheoryData<long?, bool> Limits => SuiteSettings.Scheduling != ApplicationScheduling.Workers ? SomeLimits : new()
    {
        { 1, false }, { 4096, false }, { 65_536, false },
        { 1, true }, { 4096, true }, { 65_536, true },
    };

    private static TheoryData<long?, bool> SomeLimits => new() { { 1, false }, { 65_536, true } };

    [Theory]
    [MemberData(nameof(Limits))]
    public async Task Flushes_wait_at_the_limit_and_everything_arrives_when_it_is_read(long? limit, bool tls)
    {
        await using Download download = await Download.StartAsync(limit, tls);
        await ProcessState.SettledAsync(() => download.Progress);

        // What is written includes the chunk whose flush waits.
        long held = download.Written - download.Server.Factory!.GetStatistics().BytesSent;
        Assert.InRange(held, long.MinValue, limit!.Value + Chunk + Overhead);
        Assert.True(download.Written < BodySize, "The kernel cannot have taken all of it.");
        Assert.False(download.Handled.IsCompleted);
        Assert.InRange(download.Server.Pools.RentedBlocks, 0, ((limit.Value + Chunk + Overhead) / 2048) + 32);

        await download.AssertArrivesAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_a_limit_the_application_is_done_before_the_client_reads(bool tls)
    {
        await using Download download = await Download.StartAsync(limit: null, tls);

        await download.Handled.InTime();

        Assert.InRange(download.Server.Factory!.GetStatistics().BytesSent, 1, BodySize / 2);
        await download.AssertArrivesAsync();
    }

    private sealed class Download : IAsyncDisposable
    {
        private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly X509Certificate2 _certificate = TestCertificate.Create();
        private readonly byte[] _body = RandomNumberGenerator.GetBytes(BodySize);
        private TestServer? _server;
        private StreamClient? _client;
        private long _written;

        private Download()
        {
        }

        internal TestServer Server => _server!;

        internal Task Handled => _handled.Task;

        /// <summary>Bytes of the body handed to a flush, complete or not.</summary>
        internal long Written => Volatile.Read(ref _written);

        internal long Progress => Written + Server.Factory!.GetStatistics().BytesSent;

        internal static async Task<Download> StartAsync(long? limit, bool tls)
        {
            var download = new Download();
            download._server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            {
                setup.Netpoll = options => options.MaxWriteBufferSize = limit;
                setup.Kestrel = static options => options.Limits.MinResponseDataRate = null;
                setup.App = download.RunAsync;
                if (tls)
                {
                    setup.Endpoint = options => options.UseHttps(download._certificate);
                }
            });
            download._client = await StreamClient.ConnectAsync(download.Server.EndPoint, tls);
            await download._client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n").InTime();
            await Patience.UntilAsync(() => download.Written != 0, "the response has begun");
            return download;
        }

        internal async Task AssertArrivesAsync()
        {
            byte[] received = await _client!.ReadBodyAsync(BodySize);
            Assert.True(received.AsSpan().SequenceEqual(_body));
            await Handled.InTime();
            _client.Dispose();
            await Patience.UntilAsync(() => Server.Factory!.GetStatistics().ActiveConnections == 0, "the connection is gone");
            await Server.Pools.AllReturnedAsync();
        }

        public async ValueTask DisposeAsync()
        {
            _client!.Dispose();
            await Server.DisposeAsync();
            _certificate.Dispose();
        }

        private async Task RunAsync(HttpContext context)
        {
            try
            {
                context.Response.ContentLength = BodySize;
                for (int offset = 0; offset < BodySize; offset += Chunk)
                {
                    ReadOnlyMemory<byte> chunk = _body.AsMemory(offset, Math.Min(Chunk, BodySize - offset));
                    chunk.CopyTo(context.Response.BodyWriter.GetMemory(chunk.Length));
                    context.Response.BodyWriter.Advance(chunk.Length);
                    Volatile.Write(ref _written, offset + chunk.Length);
                    await context.Response.BodyWriter.FlushAsync();
                }

                _handled.SetResult();
            }
            catch (Exception e)
            {
                _handled.SetException(e);
                throw;
            }
        }
    }
}
