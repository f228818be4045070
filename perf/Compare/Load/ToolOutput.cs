namespace KestrelNetpoll.Perf.Compare.Load;

/// <param name="Text">What the tool has printed.</param>
/// <param name="CpuSeconds">The processor time it has used.</param>
internal sealed record ToolOutput(string Text, double CpuSeconds);
