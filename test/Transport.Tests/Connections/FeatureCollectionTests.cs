using System.IO.Pipelines;
using System.Net;
using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.Tests.Connections;

public class FeatureCollectionTests : IAsyncLifetime
{
    private TransportHarness _harness = null!;
    private NetpollConnection _connection = null!;
    private RawClient _client = null!;

    private interface IForeign;

    private interface IOtherForeign;

    private IFeatureCollection Features => _connection.Features;

    public async ValueTask InitializeAsync()
    {
        _harness = await TransportHarness.StartAsync();
        (_connection, _client) = await _harness.ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync().InTime();
        _client.Dispose();
        await _harness.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void The_features_of_a_transport_are_there()
    {
        Assert.Equal(_connection.ConnectionId, Features.Get<IConnectionIdFeature>()!.ConnectionId);
        Assert.Same(_connection.Transport, Features.Get<IConnectionTransportFeature>()!.Transport);
        Assert.Same(_connection.Items, Features.Get<IConnectionItemsFeature>()!.Items);
        Assert.Same(_connection.MemoryPool, Features.Get<IMemoryPoolFeature>()!.MemoryPool);
        Assert.Equal(_connection.ConnectionClosed, Features.Get<IConnectionLifetimeFeature>()!.ConnectionClosed);
        Assert.Equal("netpoll", Features.Get<INetpollTransportFeature>()!.Transport);
        Assert.Null(Features.Get<IConnectionHeartbeatFeature>());
        Assert.Null(Features.Get<IForeign>());
        Assert.Null(Features[typeof(IForeign)]);
        Assert.False(Features.IsReadOnly);
    }

    [Fact]
    public void Every_feature_can_be_replaced_and_removed()
    {
        foreach (KeyValuePair<Type, object> feature in Features.ToArray())
        {
            object replacement = new();
            Features[feature.Key] = replacement;
            Assert.Same(replacement, Features[feature.Key]);
            Features[feature.Key] = null;
            Assert.Null(Features[feature.Key]);
        }

        Assert.Empty(Features);
    }

    [Fact]
    public void Known_and_foreign_features_can_be_added_changed_and_removed()
    {
        var lifetime = new Lifetime();
        var foreign = new Foreign();
        var other = new Foreign();
        int own = Features.Count();

        Features.Set<IConnectionLifetimeNotificationFeature>(lifetime);
        Features.Set<IForeign>(foreign);
        Features.Set<IOtherForeign>(other);
        Features.Set(new List<int>());
        Features[typeof(string)] = "text";
        Assert.Same(lifetime, Features.Get<IConnectionLifetimeNotificationFeature>());
        Assert.Same(foreign, Features.Get<IForeign>());
        Assert.Same(other, Features.Get<IOtherForeign>());
        Assert.Equal("text", Features.Get<string>());
        Assert.Equal(own + 5, Features.Count());

        Features.Set<IForeign>(null);
        Features.Set<IForeign>(null);
        Features.Set<IOtherForeign>(foreign);
        Assert.Null(Features.Get<IForeign>());
        Assert.Same(foreign, Features.Get<IOtherForeign>());
        Assert.Equal("text", Features.Get<string>());
        Assert.Equal(own + 4, Features.Count());
    }

    [Fact]
    public void The_revision_counts_changes()
    {
        int before = Features.Revision;

        Features.Set<IForeign>(new Foreign());
        Features.Set<IConnectionIdFeature>(null);
        Features[typeof(IForeign)] = null;

        Assert.Equal(before + 3, Features.Revision);
    }

    [Fact]
    public void A_null_key_is_refused()
    {
        Assert.Throws<ArgumentNullException>(() => Features[null!]);
        Assert.Throws<ArgumentNullException>(() => Features[null!] = this);
    }

    [Fact]
    public void Everything_Kestrel_and_middleware_set_is_settable()
    {
        var replacement = new Replacement();
        using var cancellation = new CancellationTokenSource();
        var local = new IPEndPoint(IPAddress.Loopback, 1);
        var remote = new IPEndPoint(IPAddress.Loopback, 2);

        _connection.ConnectionId = "mine";
        _connection.Items = replacement.Items;
        _connection.Transport = replacement.Pipe;
        _connection.ConnectionClosed = cancellation.Token;
        _connection.LocalEndPoint = local;
        _connection.RemoteEndPoint = remote;

        Assert.Equal("mine", _connection.ConnectionId);
        Assert.Same(replacement.Items, _connection.Items);
        Assert.Same(replacement.Pipe, _connection.Transport);
        Assert.Equal(cancellation.Token, _connection.ConnectionClosed);
        Assert.Same(local, _connection.LocalEndPoint);
        Assert.Same(remote, _connection.RemoteEndPoint);
    }

    [Fact]
    public async Task It_stays_readable_after_disposal()
    {
        string id = _connection.ConnectionId;
        EndPoint? client = _client.Socket.LocalEndPoint;
        await _connection.DisposeAsync().InTime();

        Assert.Equal(id, Features.Get<IConnectionIdFeature>()!.ConnectionId);
        Assert.Equal(client, _connection.RemoteEndPoint);
        Assert.Equal(_harness.Listener.EndPoint, _connection.LocalEndPoint);
        Assert.True(_connection.ConnectionClosed.IsCancellationRequested);
        Assert.NotEmpty(Features);
    }

    private sealed class Foreign : IForeign, IOtherForeign;

    private sealed class Lifetime : IConnectionLifetimeNotificationFeature
    {
        public CancellationToken ConnectionClosedRequested { get; set; }

        public void RequestClose()
        {
        }
    }

    private sealed class Replacement
    {
        internal IDictionary<object, object?> Items { get; } = new Dictionary<object, object?>();

        internal IDuplexPipe Pipe { get; } = new DuplexPipe(
            PipeReader.Create(Stream.Null), PipeWriter.Create(Stream.Null));
    }
}
