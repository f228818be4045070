namespace KestrelNetpoll.Native.Sockets;

/// <summary>What a <see cref="DescriptorChannel"/> has received.</summary>
/// <param name="Kind">What it means to whoever uses the channel.</param>
/// <param name="Payload">The bytes, perhaps none.</param>
/// <param name="Descriptors">The descriptors, perhaps none.</param>
internal sealed record DescriptorMessage(byte Kind, byte[] Payload, ReceivedDescriptors Descriptors) : IDisposable
{
    public void Dispose() => Descriptors.Dispose();
}
