using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>Alone, since they set environment variables of the process.</summary>
[Collection(nameof(Alone))]
[OneMode]
public sealed class ActivatedSocketTests : IDisposable
{
    private readonly List<Socket> _sockets = [];

    [Theory]
    [ClassData(typeof(BothTransports))]
    public async Task Sockets_are_served_by_name(TransportKind kind)
    {
        Pass(out IPEndPoint[] endPoints, "public", "admin", "public");

        await using TestServer server = await TestServer.StartAsync(kind, static setup =>
        {
            setup.Kestrel = static options =>
            {
                options.ListenActivatedSocket("admin", static endPoint => endPoint.Use(static next => connection =>
                {
                    connection.Items["admin"] = true;
                    return next(connection);
                }));
                Assert.True(options.TryListenActivatedSocket("public"));
                Assert.False(options.TryListenActivatedSocket("Public"));
            };
            setup.App = static context => context.Response.WriteAsync(
                context.Features.Get<IConnectionItemsFeature>()!.Items.ContainsKey("admin") ? "admin" : "public");
        });

        foreach ((IPEndPoint endPoint, string name) in endPoints.Zip(["public", "admin", "public"]))
        {
            using RawClient client = await RawClient.ConnectAsync(endPoint);
            await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(name, (await client.ReadResponseAsync()).Text);
        }
    }

    [Fact]
    public void A_name_that_was_not_passed_is_an_error_that_says_what_was()
    {
        var options = new KestrelServerOptions();
        Assert.False(options.TryListenActivatedSocket("http"));
        InvalidOperationException nothing = Assert.Throws<InvalidOperationException>(() => options.ListenActivatedSocket("http"));
        Assert.Contains("No socket named 'http'", nothing.Message, StringComparison.Ordinal);
        Assert.EndsWith("none has been passed at all.", nothing.Message, StringComparison.Ordinal);

        Pass(out _, "a", "b");
        InvalidOperationException other = Assert.Throws<InvalidOperationException>(() => options.ListenActivatedSocket("http"));
        Assert.Contains("there are '", other.Message, StringComparison.Ordinal);
        Assert.Contains("'a', ", other.Message, StringComparison.Ordinal);
        Assert.EndsWith("'b'.", other.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sockets_without_names_are_called_unknown()
    {
        Pass(out _, "a", "b");
        Environment.SetEnvironmentVariable("LISTEN_FDNAMES", null);

        Assert.True(new KestrelServerOptions().TryListenActivatedSocket("unknown"));
    }

    [Fact]
    public void Sockets_of_another_process_are_none()
    {
        Pass(out _, "a");
        Environment.SetEnvironmentVariable("LISTEN_PID", "1");

        Assert.False(new KestrelServerOptions().TryListenActivatedSocket("a"));
    }

    [Fact]
    public void More_names_than_sockets_are_an_error()
    {
        Pass(out _, "a");
        Environment.SetEnvironmentVariable("LISTEN_FDNAMES", Environment.GetEnvironmentVariable("LISTEN_FDNAMES") + ":b");

        Assert.Throws<InvalidOperationException>(() => new KestrelServerOptions().TryListenActivatedSocket("a"));
    }

    public void Dispose()
    {
        foreach (string variable in (string[])["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"])
        {
            Environment.SetEnvironmentVariable(variable, null);
        }

        _sockets.ForEach(static socket => socket.Dispose());
    }

    // The numbers of this process's sockets are anywhere above 3: what lies between and is none of the test's has a name of its own.
    private void Pass(out IPEndPoint[] endPoints, params string[] names)
    {
        foreach (string _ in names)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _sockets.Add(socket);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        }

        endPoints = [.. _sockets.Select(static socket => (IPEndPoint)socket.LocalEndPoint!)];
        Dictionary<int, string> byNumber = _sockets.Zip(names).ToDictionary(static pair => (int)pair.First.Handle, static pair => pair.Second);
        int last = byNumber.Keys.Max();
        Environment.SetEnvironmentVariable("LISTEN_PID", Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        Environment.SetEnvironmentVariable("LISTEN_FDS", (last - 2).ToString(CultureInfo.InvariantCulture));
        Environment.SetEnvironmentVariable(
            "LISTEN_FDNAMES", string.Join(':', Enumerable.Range(3, last - 2).Select(fd => byNumber.GetValueOrDefault(fd, "other"))));
    }
}
