namespace KestrelNetpoll.Perf.Compare.Load;

/// <summary>The load could not be made, or something was answered wrongly: what was measured means nothing.</summary>
internal sealed class LoadException(string message) : Exception(message);

/// <summary>A tool is not there. The message says how to get it.</summary>
internal sealed class MissingToolException(string tool, string command) : Exception($"{tool} is missing: {command}");
