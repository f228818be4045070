using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using FifoTun;

[assembly: SupportedOSPlatform("linux")]

var commandLine = new CommandLine(
    "FifoTun",
    new Option("tun", null, "answers pings on a tun device, in a network namespace of its own; needs root"),
    new Option("folder", "PATH", "where the FIFOs go (a new folder, which goes in the end)"));
if (commandLine.Read(args) is { } exitCode)
{
    return exitCode;
}

using var end = new CancellationTokenSource();
using PosixSignalRegistration interrupt = EndOn(PosixSignal.SIGINT);
using PosixSignalRegistration terminate = EndOn(PosixSignal.SIGTERM);
using PosixSignalRegistration hangUp = EndOn(PosixSignal.SIGHUP);
try
{
    if (commandLine.Has("tun"))
    {
        // Not asynchronous up to the device: the main thread is the one that gets the namespace.
        await PingResponder.Open().AnswerAsync(end.Token);
    }
    else
    {
        using FifoPair fifos = FifoPair.Create(commandLine["folder"]);
        await FifoEcho.RunAsync(fifos, end.Token);
    }

    return 0;
}
catch (OperationCanceledException)
{
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or Win32Exception)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

PosixSignalRegistration EndOn(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
{
    context.Cancel = true;
    end.Cancel();
});
