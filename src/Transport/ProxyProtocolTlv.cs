namespace KestrelNetpoll.Transport;

/// <summary>One piece of information in a binary PROXY protocol header.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Value">Its bytes; valid as long as anybody refers to them.</param>
public readonly record struct ProxyProtocolTlv(ProxyProtocolTlvType Type, ReadOnlyMemory<byte> Value);
