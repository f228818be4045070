using System.Runtime.CompilerServices;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>Requests that Kestrel refuses; the transport must bring the refusal to the client.</summary>
public class BadRequestScenarios
{
    [Fact]
    public Task A_malformed_request_line() => RefuseAsync("GET / HTTP/1.1 nonsense\r\nHost: x\r\n\r\n", "HTTP/1.1 400");

    [Fact]
    public Task A_request_without_Host() => RefuseAsync("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400");

    [Fact]
    public Task An_unknown_version() => RefuseAsync("GET / HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 505");

    [Fact]
    public Task Bytes_that_are_no_HTTP() => RefuseAsync("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "HTTP/1.1 400");

    [Fact]
    public Task A_header_without_a_name() => RefuseAsync("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", "HTTP/1.1 400");

    [Fact]
    public Task A_good_request_then_a_bad_one() => RefuseAsync("GET /good HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n", "HTTP/1.1 400");

    [Fact]
    public Task Headers_over_the_limit() =>
        RefuseAsync($"GET / HTTP/1.1\r\nHost: x\r\n{RequestScenarios.Headers(count: 40, size: 1000)}\r\n", "HTTP/1.1 431", mayLoseTheAnswer: true);

    [Fact]
    public Task A_request_line_over_the_limit() =>
        RefuseAsync($"GET /{new string('a', 9000)} HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 414", mayLoseTheAnswer: true);

    [Fact]
    public Task A_bad_chunk() =>
        RefuseAsync("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n", "HTTP/1.1 400", seenByTheApp: true);

    [Fact]
    public Task A_body_with_two_lengths() =>
        RefuseAsync("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 400");

    [Fact]
    public Task An_HTTP_2_preface_on_an_HTTP_1_endpoint() => CompareAsync(new Scenario
    {
        Server = static setup => setup.Endpoint =
            static endpoint => endpoint.Protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1,
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            await client.ReceiveToEndAsync();
        },
        OnBoth = seen => Assert.NotEmpty(seen.Client),
    });

    // Where Kestrel refuses before it has read everything, Sockets closes with bytes unread, and the RST can destroy the answer.
    private static Task RefuseAsync(
        string request, string answer, bool mayLoseTheAnswer = false, bool seenByTheApp = false, [CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            App = RequestScenarios.EchoAsync,
            Client = async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                await client.SendAsync(request);
                await client.ReceiveToEndAsync();
            },
            OnBoth = seen =>
            {
                if (seenByTheApp)
                {
                    // Kestrel logs what the application lets through.
                    Assert.Contains("BadHttpRequestException", Assert.Single(seen.LoudLog), StringComparison.Ordinal);
                }
                else
                {
                    seen.Quiet();
                }
            },
            OnNetpoll = seen => seen.Answered(answer).Ended("FIN"),
            Differs = mayLoseTheAnswer ? Aspects.Client | Aspects.TransportLog : Aspects.None,
        },
        name);
}
