using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using static KestrelNetpoll.Transport.Tests.Differential.Comparison;

namespace KestrelNetpoll.Transport.Tests.Differential;

/// <summary>What a connection tells about itself.</summary>
public class RawFeatureScenarios
{
    [Fact]
    public Task Features() => AskAsync(
        static (connection, stage) =>
        {
            stage.Note($"id: {connection.Features.Get<IConnectionIdFeature>()?.ConnectionId == connection.ConnectionId}");
            stage.Note($"transport: {connection.Features.Get<IConnectionTransportFeature>()?.Transport == connection.Transport}");
            stage.Note($"items: {connection.Features.Get<IConnectionItemsFeature>()?.Items == connection.Items}");
            stage.Note($"memory pool: {connection.Features.Get<IMemoryPoolFeature>()?.MemoryPool is not null}");
            stage.Note($"lifetime: {connection.Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed == connection.ConnectionClosed}");
            stage.Note($"read only: {connection.Features.IsReadOnly}");
            stage.Note($"end points: {connection.Features.Get<IConnectionEndPointFeature>() is not null}");
        },
        seen => seen.Noted(
            "app: id: True", "app: transport: True", "app: items: True", "app: memory pool: True", "app: lifetime: True", "app: read only: False"));

    [Fact]
    public Task The_socket_feature() => AskAsync(
        static (connection, stage) =>
        {
            Socket? socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
            stage.Note($"socket: {socket is not null}");
            if (socket is not null)
            {
                stage.Note($"type: {socket.AddressFamily} {socket.SocketType} {socket.ProtocolType}");
                stage.Note($"remote: {Equals(socket.RemoteEndPoint, connection.RemoteEndPoint)}");
                stage.Note($"local: {Equals(socket.LocalEndPoint, connection.LocalEndPoint)}");
                stage.Note($"no delay: {socket.NoDelay}");
            }
        },
        seen => seen.Noted("app: socket: True", "app: remote: True", "app: local: True", "app: no delay: True"));

    [Fact]
    public Task The_id() => AskAsync(
        static (connection, stage) =>
        {
            stage.Note($"form: {Regex.IsMatch(connection.ConnectionId, "^[0-9A-V]{13}$")}");
            stage.Note($"stays: {connection.ConnectionId == connection.ConnectionId}");
            connection.ConnectionId = "mine";
            stage.Note($"set: {connection.Features.Get<IConnectionIdFeature>()!.ConnectionId}");
        },
        seen => seen.Noted("app: form: True", "app: set: mine"));

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("::1", "::1")]
    [InlineData("0.0.0.0", "127.0.0.1")]
    [InlineData("::", "127.0.0.1")]
    [InlineData("::", "::1")]
    public Task End_points(string listen, string connect) => CompareAsync(new Scenario
    {
        Server = setup => setup.Address = IPAddress.Parse(listen),
        Connection = static async (connection, stage) =>
        {
            var local = (IPEndPoint)connection.LocalEndPoint!;
            var remote = (IPEndPoint)connection.RemoteEndPoint!;
            stage.Note($"local: {local.Address} {local.AddressFamily} mapped: {local.Address.IsIPv4MappedToIPv6}");
            stage.Note($"remote: {remote.Address} {remote.AddressFamily} mapped: {remote.Address.IsIPv4MappedToIPv6}");
            await connection.Transport.Output.WriteAsync(System.Text.Encoding.Latin1.GetBytes($"{remote.Port}|{local.Port}\n"));
        },
        Client = async stage =>
        {
            ScriptClient client = await stage.ConnectAsync(IPAddress.Parse(connect));
            string ports = $"{((IPEndPoint)client.Socket.LocalEndPoint!).Port}|{stage.Server.EndPoint.Port}\n";
            await client.ReceiveToEndAsync();
            stage.Note("ports", $"{client.Received == ports}");
        },
        OnBoth = static seen => seen.Noted("ports: True").Quiet(),

        // The ports.
        Differs = Aspects.Client,
    });

    [Fact]
    public Task What_the_connection_tells_after_its_end() => CompareAsync(new Scenario
    {
        Connection = static (connection, stage) =>
        {
            stage.Note($"items: {connection.Items.Count}");
            connection.ConnectionClosed.Register(() =>
            {
                stage.Note($"remote: {((IPEndPoint)connection.RemoteEndPoint!).Address}, local: {((IPEndPoint)connection.LocalEndPoint!).Address}");
                stage.Note($"id: {connection.ConnectionId.Length}");
            });
            return Task.CompletedTask;
        },
        Client = static async stage =>
        {
            ScriptClient client = await stage.ConnectAsync();
            await client.ReceiveToEndAsync();
        },
        OnBoth = static seen => seen.Noted("app: remote: 127.0.0.1, local: 127.0.0.1", "app: id: 13").Quiet(),
    });

    private static Task AskAsync(
        Action<ConnectionContext, Stage> app, Action<Observation> onBoth, [System.Runtime.CompilerServices.CallerMemberName] string name = "") => CompareAsync(
        new Scenario
        {
            Connection = (connection, stage) =>
            {
                app(connection, stage);
                return Task.CompletedTask;
            },
            Client = static async stage =>
            {
                ScriptClient client = await stage.ConnectAsync();
                await client.ReceiveToEndAsync();
            },
            OnBoth = seen => onBoth(seen.Ended("FIN").Quiet()),
        },
        name);
}
