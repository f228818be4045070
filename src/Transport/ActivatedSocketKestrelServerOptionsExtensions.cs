using KestrelNetpoll.Native.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Binds endpoints of Kestrel to sockets that a service manager such as systemd has passed, by their names.</summary>
public static class ActivatedSocketKestrelServerOptionsExtensions
{
    /// <summary>
    /// Serves the sockets of a name (<c>FileDescriptorName=</c> in a socket unit, whose default is the unit's own name). Works with any
    /// transport.
    /// </summary>
    /// <remarks>
    /// The names are in <c>LISTEN_FDNAMES</c>. Where the manager passes sockets without names, all of them are called <c>unknown</c>. A
    /// socket unit with several <c>ListenStream=</c> passes several sockets of one name: each becomes an endpoint.
    /// </remarks>
    /// <param name="options">Kestrel's options.</param>
    /// <param name="name">The name; upper and lower case are different.</param>
    /// <param name="configure">Configures each of the endpoints, with <c>UseHttps</c> for example; null leaves the defaults.</param>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="InvalidOperationException">
    /// No socket of that name has been passed to this process, or the environment contradicts itself; the message says what there is.
    /// </exception>
    public static void ListenActivatedSocket(this KestrelServerOptions options, string name, Action<ListenOptions>? configure = null)
    {
        if (!options.TryListenActivatedSocket(name, configure))
        {
            string[] passed = [.. SocketActivation.GetPassed().Select(static socket => $"'{socket.Name}'").Distinct()];
            string found = passed.Length == 0 ? "none has been passed at all" : $"there are {string.Join(", ", passed)}";
            throw new InvalidOperationException(
                $"No socket named '{name}' has been passed to this process (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES): {found}.");
        }
    }

    /// <summary>
    /// As <see cref="ListenActivatedSocket"/>, for programs that are also started without a service manager.
    /// </summary>
    /// <param name="options">Kestrel's options.</param>
    /// <param name="name">The name; upper and lower case are different.</param>
    /// <param name="configure">Configures each of the endpoints; null leaves the defaults.</param>
    /// <returns><see langword="false"/> if no socket of that name has been passed to this process: nothing was done.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="InvalidOperationException">The environment has more or fewer names than sockets.</exception>
    public static bool TryListenActivatedSocket(this KestrelServerOptions options, string name, Action<ListenOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(name);

        bool found = false;
        foreach ((string passed, int fd) in SocketActivation.GetPassed())
        {
            if (passed == name)
            {
                options.ListenHandle((ulong)fd, configure ?? (static _ => { }));
                found = true;
            }
        }

        return found;
    }
}
