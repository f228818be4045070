using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.Limits;

/// <summary>How many connections each client has. Thread-safe; holds what is not zero.</summary>
internal sealed class AddressCounts(int limit)
{
    // Guards _counts.
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkKey, int> _counts = [];

    /// <summary>Null: there is no limit.</summary>
    internal static AddressCounts? From(NetpollEndpointOptions options) =>
        options.MaxConnectionsPerAddress is { } limit ? new AddressCounts(limit) : null;

    /// <summary>Different clients that have connections.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _counts.Count;
            }
        }
    }

    /// <summary>False: it has as many as it may have.</summary>
    internal bool TryAdd(NetworkKey client)
    {
        lock (_lock)
        {
            int count = _counts.GetValueOrDefault(client);
            if (count >= limit)
            {
                return false;
            }

            _counts[client] = count + 1;
            return true;
        }
    }

    /// <summary>For each that was added, once.</summary>
    internal void Remove(NetworkKey client)
    {
        lock (_lock)
        {
            int left = _counts[client] - 1;
            if (left == 0)
            {
                _counts.Remove(client);
            }
            else
            {
                _counts[client] = left;
            }
        }
    }
}
