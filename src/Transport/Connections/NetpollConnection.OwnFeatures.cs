namespace KestrelNetpoll.Transport.Connections;

/// <summary>
/// Features that the connection implements and that hardly anybody asks for. They are looked for last, so that those which Kestrel looks
/// for with each request are not farther away. They can be replaced and removed as any: a replacement is found before them.
/// </summary>
internal sealed partial class NetpollConnection
{
    // A bit for each that was removed.
    private byte _removedOwnFeatures;

    private static readonly Type[] OwnFeatures =
        [typeof(IConnectionDeadlineFeature), typeof(IUnixPeerCredentialsFeature), typeof(ITcpInfoFeature)];

    private NetpollConnection? GetOwnFeature(Type key)
    {
        int index = IndexOfOwnFeature(key);
        return index >= 0 && (_removedOwnFeatures & (1 << index)) == 0 && Has(key) ? this : null;
    }

    // Written out: this is asked for each feature that the connection does not have, which some requests do.
    private static int IndexOfOwnFeature(Type key) =>
        key == typeof(IConnectionDeadlineFeature) ? 0
        : key == typeof(IUnixPeerCredentialsFeature) ? 1
        : key == typeof(ITcpInfoFeature) ? 2
        : -1;

    // What the kernel tells depends on the kind of socket.
    private bool Has(Type ownFeature) =>
        ownFeature == typeof(IUnixPeerCredentialsFeature) ? _socket.IsUnix : ownFeature != typeof(ITcpInfoFeature) || _socket.IsTcp;

    // Whatever takes its place, the one implemented here is gone for good.
    private void RemoveOwnFeature(Type key)
    {
        int index = IndexOfOwnFeature(key);
        if (index >= 0)
        {
            _removedOwnFeatures |= (byte)(1 << index);
        }
    }

    private IEnumerable<KeyValuePair<Type, object>> EnumerateOwnFeatures()
    {
        foreach (Type key in OwnFeatures)
        {
            if (GetOwnFeature(key) is { } feature)
            {
                yield return new(key, feature);
            }
        }
    }
}
