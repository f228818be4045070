using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Transport.HandOver;

/// <summary>
/// What two processes say to each other, of which one serves and the other is to go on with it:
/// <code>
///   successor                predecessor
///   Hello, version     →
///                      ←     Welcome
///   Ask, an address    →                                         once for each endpoint
///                      ←     Sockets, with descriptors, or without: it does not have that one
///   Has, an address    →                                         once for each handle that it was given by somebody else
///   Ready              →                                         the host has started
///                      ←     Yours, with the listener at the path
///   Mine               →                                         it accepts: from here on there is no way back
///                      ←     Closed: it has no descriptor of the sockets any more, or has waited a second
///                      ←     Refused, and why: at any time before it has read Mine; it goes on serving
/// </code>
/// A successor that ends before Mine has taken nothing. A predecessor that ends without Refused has left everything.
/// </summary>
internal static class HandOverMessage
{
    internal const byte Hello = (byte)'H';
    internal const byte Ask = (byte)'A';
    internal const byte Has = (byte)'B';
    internal const byte Ready = (byte)'R';
    internal const byte Mine = (byte)'M';

    internal const byte Welcome = (byte)'W';
    internal const byte Sockets = (byte)'S';
    internal const byte Yours = (byte)'Y';
    internal const byte Closed = (byte)'C';
    internal const byte Refused = (byte)'X';

    /// <summary>The payload of <see cref="Hello"/>. Another one is another protocol.</summary>
    internal static ReadOnlySpan<byte> Version => "netpoll hand-over 1"u8;

    /// <summary>In the payload of <see cref="Sockets"/>: the transport made them, rather than somebody who may have had plans.</summary>
    internal static ReadOnlySpan<byte> Own => [1];

    /// <inheritdoc cref="Own"/>
    internal static ReadOnlySpan<byte> Borrowed => [0];

    /// <summary>With a time limit.</summary>
    /// <exception cref="TimeoutException">Nothing has come in time.</exception>
    internal static async Task<DescriptorMessage?> ReceiveInTimeAsync(
        this DescriptorChannel channel, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(limit);
        try
        {
            return await channel.ReceiveAsync(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The other process has said nothing for {limit}.");
        }
    }
}
