using System.Buffers;
using System.Collections;
using System.IO.Pipelines;
using System.Net;
using KestrelNetpoll.Native.Scheduling;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// The connection is its own feature collection. Kestrel reads it for every request that asks for a feature the request does
/// not have, and sets four features on every connection, so the usual ones are fields and the rest a short array.
/// Like every feature collection it is not synchronized; it stays readable after the connection has been disposed.
/// </summary>
internal sealed partial class NetpollConnection :
    IFeatureCollection,
    IConnectionIdFeature,
    IConnectionTransportFeature,
    IConnectionItemsFeature,
    IMemoryPoolFeature,
    IConnectionLifetimeFeature
{
    // Kestrel sets one that is internal to it, HTTPS middleware or an application perhaps another.
    private const int InitialForeignCapacity = 2;

    // Implemented here; anybody may replace or remove them.
    private object? _idFeature;
    private object? _transportFeature;
    private object? _itemsFeature;
    private object? _memoryPoolFeature;
    private object? _lifetimeFeature;
    private object? _socketFeature;
    private object? _netpollFeature;

    // A GroupContext, under that type: how requests find where they are to run. Null unless they are to run on workers only.
    private object? _groupContextFeature;

    // Set by Kestrel right after the accept.
    private object? _heartbeatFeature;
    private object? _completeFeature;
    private object? _lifetimeNotificationFeature;

    // Everything else, in no order; the first _foreignCount places are in use.
    private KeyValuePair<Type, object>[]? _foreignFeatures;
    private int _foreignCount;
    private int _revision;

    private string? _connectionId;
    private IDictionary<object, object?>? _items;
    private EndPoint? _remoteEndPoint;

    // Made when first asked for, which a close and a log entry may do at once: all must get the same one.
    public override string ConnectionId
    {
        get => _connectionId ?? Interlocked.CompareExchange(ref _connectionId, _services.ConnectionIds.Next(), null) ?? _connectionId;
        set => _connectionId = value;
    }

    // HTTPS and logging middleware put their own here; the connection itself keeps to its reader and writer.
    public override IDuplexPipe Transport { get; set; }

    public override IDictionary<object, object?> Items
    {
        get => _items ??= new ConnectionItems();
        set => _items = value;
    }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    // The socket keeps the kernel's bytes, so this works after the close too. An IPv4 peer of a dual-mode listener is
    // ::ffff:a.b.c.d, as with the Sockets transport. A report on a blocked turn may ask while middleware sets it, and must not undo that.
    public override EndPoint? RemoteEndPoint
    {
        get => _remoteEndPoint ?? Interlocked.CompareExchange(ref _remoteEndPoint, _socket.RemoteEndPoint, null) ?? _remoteEndPoint;
        set => _remoteEndPoint = value;
    }

    public override IFeatureCollection Features => this;

    public MemoryPool<byte> MemoryPool { get; }

    bool IFeatureCollection.IsReadOnly => false;

    int IFeatureCollection.Revision => _revision;

    object? IFeatureCollection.this[Type key]
    {
        get
        {
            ArgumentNullException.ThrowIfNull(key);
            return GetFeature(key);
        }

        set
        {
            ArgumentNullException.ThrowIfNull(key);
            SetFeature(key, value);
        }
    }

    TFeature? IFeatureCollection.Get<TFeature>()
        where TFeature : default => (TFeature?)GetFeature(typeof(TFeature));

    void IFeatureCollection.Set<TFeature>(TFeature? instance)
        where TFeature : default => SetFeature(typeof(TFeature), instance);

    IEnumerator<KeyValuePair<Type, object>> IEnumerable<KeyValuePair<Type, object>>.GetEnumerator() => EnumerateFeatures().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => EnumerateFeatures().GetEnumerator();

    private void InitializeFeatures(GroupContext? groupContext)
    {
        _idFeature = _transportFeature = _itemsFeature = _memoryPoolFeature = _lifetimeFeature = _socketFeature = this;
        _netpollFeature = _services.Feature;
        _groupContextFeature = groupContext;
    }

    private object? GetFeature(Type key)
    {
        ref object? known = ref FindKnownFeature(key, out bool isKnown);
        if (isKnown)
        {
            return known;
        }

        int index = IndexOfForeignFeature(key);
        return index < 0 ? GetOwnFeature(key) : _foreignFeatures![index].Value;
    }

    private void SetFeature(Type key, object? instance)
    {
        _revision++;
        ref object? known = ref FindKnownFeature(key, out bool isKnown);
        if (isKnown)
        {
            known = instance;
            return;
        }

        if (key == typeof(IConnectionMetricsTagsFeature) && instance is IConnectionMetricsTagsFeature tags)
        {
            OnMetricsTagsSet(tags);
        }

        RemoveOwnFeature(key);
        int index = IndexOfForeignFeature(key);
        if (index >= 0)
        {
            if (instance is not null)
            {
                _foreignFeatures![index] = new(key, instance);
            }
            else
            {
                // Order means nothing here: the last one fills the hole.
                _foreignFeatures![index] = _foreignFeatures[--_foreignCount];
                _foreignFeatures[_foreignCount] = default;
            }
        }
        else if (instance is not null)
        {
            _foreignFeatures ??= new KeyValuePair<Type, object>[InitialForeignCapacity];
            if (_foreignCount == _foreignFeatures.Length)
            {
                Array.Resize(ref _foreignFeatures, _foreignCount * 2);
            }

            _foreignFeatures[_foreignCount++] = new(key, instance);
        }
    }

    // A reference, so that reading and writing share the one list of what is known. It means nothing if isKnown is false.
    private ref object? FindKnownFeature(Type key, out bool isKnown)
    {
        isKnown = true;
        if (key == typeof(IConnectionIdFeature))
        {
            return ref _idFeature;
        }

        if (key == typeof(IConnectionTransportFeature))
        {
            return ref _transportFeature;
        }

        if (key == typeof(IConnectionItemsFeature))
        {
            return ref _itemsFeature;
        }

        if (key == typeof(IMemoryPoolFeature))
        {
            return ref _memoryPoolFeature;
        }

        if (key == typeof(IConnectionLifetimeFeature))
        {
            return ref _lifetimeFeature;
        }

        if (key == typeof(IConnectionSocketFeature))
        {
            return ref _socketFeature;
        }

        if (key == typeof(INetpollTransportFeature))
        {
            return ref _netpollFeature;
        }

        if (key == typeof(GroupContext))
        {
            return ref _groupContextFeature;
        }

        if (key == typeof(IConnectionHeartbeatFeature))
        {
            return ref _heartbeatFeature;
        }

        if (key == typeof(IConnectionCompleteFeature))
        {
            return ref _completeFeature;
        }

        if (key == typeof(IConnectionLifetimeNotificationFeature))
        {
            return ref _lifetimeNotificationFeature;
        }

        isKnown = false;
        return ref _idFeature;
    }

    private int IndexOfForeignFeature(Type key)
    {
        for (int i = 0; i < _foreignCount; i++)
        {
            if (_foreignFeatures![i].Key == key)
            {
                return i;
            }
        }

        return -1;
    }

    private IEnumerable<KeyValuePair<Type, object>> EnumerateFeatures()
    {
        (Type Key, object? Value)[] known =
        [
            (typeof(IConnectionIdFeature), _idFeature),
            (typeof(IConnectionTransportFeature), _transportFeature),
            (typeof(IConnectionItemsFeature), _itemsFeature),
            (typeof(IMemoryPoolFeature), _memoryPoolFeature),
            (typeof(IConnectionLifetimeFeature), _lifetimeFeature),
            (typeof(IConnectionSocketFeature), _socketFeature),
            (typeof(INetpollTransportFeature), _netpollFeature),
            (typeof(GroupContext), _groupContextFeature),
            (typeof(IConnectionHeartbeatFeature), _heartbeatFeature),
            (typeof(IConnectionCompleteFeature), _completeFeature),
            (typeof(IConnectionLifetimeNotificationFeature), _lifetimeNotificationFeature),
        ];

        foreach ((Type key, object? value) in known)
        {
            if (value is not null)
            {
                yield return new(key, value);
            }
        }

        for (int i = 0; i < _foreignCount; i++)
        {
            yield return _foreignFeatures![i];
        }

        foreach (KeyValuePair<Type, object> feature in EnumerateOwnFeatures())
        {
            yield return feature;
        }
    }
}
