using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.Tests.Scale;

/// <summary>
/// An application that does not read its request: the server holds what the limit allows, and the client has to wait; unless there is no limit.
/// </summary>
public class UploadBackPressureTests
{
    private const int BodySize = 16 * 1024 * 1024;
    private const int OneReceive = 64 * 1024;
    private const int BlockSize = 4096;

    // What Kestrel and TLS hold of the same connection, besides the bytes received.
    private const int OtherBlocks = 32;

    // All of them where it matters most; the other modes differ in where the application runs.
    public static TheoryData<long?, bool> Limits => SuiteSettings.Scheduling != ApplicationScheduling.Workers ? SomeLimits : new()
    {
        { 1, false }, { 16, false }, { 4096, false }, { 65_536, false }, { 1_048_576, false }, { null, false },
        { 1, true }, { 16, true }, { 4096, true }, { 65_536, true }, { 1_048_576, true }, { null, true },
    };

    public static TheoryData<long?, bool> SomeLimits => new() { { 1, false }, { 65_536, true }, { null, false }, { null, true } };

    [Theory]
    [MemberData(nameof(Limits))]
    public async Task The_body_waits_at_the_client_and_arrives_whole_when_it_is_read(long? limit, bool tls)
    {
        await using Upload upload = await Upload.StartAsync(limit, tls);
        await upload.AssertHeldBackAsync();

        upload.Read();

        await upload.Sending.InTime();
        string hash = Convert.ToHexStringLower(SHA256.HashData(upload.Body));
        Assert.Equal(hash, Encoding.ASCII.GetString(await upload.Client.ReadBodyAsync(hash.Length)));
        upload.Client.Dispose();
        await upload.AssertNothingIsLeftAsync();
    }

    [Theory]
    [MemberData(nameof(SomeLimits))]
    public async Task The_server_stops_while_a_body_waits(long? limit, bool tls)
    {
        await using Upload upload = await Upload.StartAsync(limit, tls);
        await upload.AssertHeldBackAsync();

        await upload.Server.StopAsync();

        if (limit is not null)
        {
            await Assert.ThrowsAnyAsync<IOException>(() => upload.Sending.InTime());
        }

        await Assert.ThrowsAnyAsync<Exception>(() => upload.Handled.InTime());
        await upload.AssertNothingIsLeftAsync();
    }

    [Theory]
    [MemberData(nameof(SomeLimits))]
    public async Task The_client_goes_while_its_body_waits(long? limit, bool tls)
    {
        await using Upload upload = await Upload.StartAsync(limit, tls);
        await upload.AssertHeldBackAsync();

        upload.Client.Reset();

        // A reset does not wait behind bytes that there is no room for: the application learns of it while it does something else.
        await upload.Aborted.InTime();
        await Assert.ThrowsAnyAsync<Exception>(() => upload.Handled.InTime());
        if (limit is not null)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => upload.Sending.InTime());
        }

        await upload.AssertNothingIsLeftAsync();
    }

    /// <summary>One upload whose application waits until it is told to read, or its request is aborted.</summary>
    private sealed class Upload : IAsyncDisposable
    {
        private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _read = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly X509Certificate2 _certificate = TestCertificate.Create();
        private readonly long? _limit;
        private TestServer? _server;
        private StreamClient? _client;
        private Task? _sending;

        private Upload(long? limit) => _limit = limit;

        internal byte[] Body { get; } = RandomNumberGenerator.GetBytes(BodySize);

        internal TestServer Server => _server!;

        internal StreamClient Client => _client!;

        internal Task Sending => _sending!;

        internal Task Aborted => _aborted.Task;

        internal Task Handled => _handled.Task;

        internal static async Task<Upload> StartAsync(long? limit, bool tls)
        {
            var upload = new Upload(limit);
            upload._server = await TestServer.StartAsync(TransportKind.Netpoll, setup =>
            {
                setup.Netpoll = options => options.MaxReadBufferSize = limit;
                setup.ShutdownTimeout = TimeSpan.FromMilliseconds(500);
                setup.App = upload.RunAsync;
                if (tls)
                {
                    setup.Endpoint = options => options.UseHttps(upload._certificate);
                }
            });
            upload._client = await StreamClient.ConnectAsync(upload.Server.EndPoint, tls);
            await upload.Client.SendAsync($"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BodySize}\r\n\r\n");
            upload._sending = upload.Client.SendAsync(upload.Body);
            await upload._started.Task.InTime();
            return upload;
        }

        internal void Read() => _read.SetResult();

        internal async Task AssertHeldBackAsync()
        {
            if (_limit is null)
            {
                // Without a limit nothing is held back.
                await Sending.InTime();
                await Patience.UntilAsync(() => Server.Factory!.GetStatistics().BytesReceived > BodySize, "everything is taken in");
            }
            else
            {
                await AssertWithinBoundsAsync();
                Assert.False(Sending.IsCompleted);
            }

            Assert.False(Handled.IsCompleted);
        }

        private async Task AssertWithinBoundsAsync()
        {
            long received = await ProcessState.SettledAsync(() => Server.Factory!.GetStatistics().BytesReceived);
            long bound = (_limit ?? 0) + OneReceive;
            Assert.InRange(received, 1, bound);

            // Blocks may be half full.
            Assert.InRange(Server.Pools.RentedBlocks, 0, (2 * bound / BlockSize) + OtherBlocks);
        }

        internal async Task AssertNothingIsLeftAsync()
        {
            await Patience.UntilAsync(() => Server.Factory!.GetStatistics().ActiveConnections == 0, "the connection is gone");
            await Server.Pools.AllReturnedAsync();
        }

        public async ValueTask DisposeAsync()
        {
            _read.TrySetResult();
            Client.Dispose();
            await Server.DisposeAsync();
            _certificate.Dispose();

            // Its failure has been looked at by whoever wanted to know.
            await Sending.ContinueWith(static _ => { }, TaskScheduler.Default).InTime();
        }

        private async Task RunAsync(HttpContext context)
        {
            try
            {
                context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
                using CancellationTokenRegistration registration = context.RequestAborted.Register(() => _aborted.TrySetResult());
                _started.SetResult();
                if (await Task.WhenAny(_read.Task, _aborted.Task) == _aborted.Task)
                {
                    throw new OperationCanceledException();
                }

                byte[] hash = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(await SHA256.HashDataAsync(context.Request.Body)));
                context.Response.ContentLength = hash.Length;
                await context.Response.Body.WriteAsync(hash);
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
