using System.Reflection;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Hosting;

/// <summary>What a project gets that references the libraries: this one is such a project, and does nothing for it.</summary>
[OneMode]
public class ReadyToRunTests
{
    // The architecture's number in the image, and what it is combined with for Linux (PE format; ReadyToRun format).
    private const ushort ImageForLinux = 0x7B79;

    [Theory]
    [InlineData(typeof(NetpollTransportOptions))]
    [InlineData(typeof(NetpollRuntime))]
    public void A_release_build_comes_compiled_for_this_machine(Type fromLibrary)
    {
        Assembly library = fromLibrary.Assembly;
        Machine machine = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => Machine.Amd64,
            Architecture.Arm64 => Machine.Arm64,
            _ => Machine.Unknown,
        };
        string configuration = library.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        Assert.SkipUnless(configuration == "Release", $"This is a {configuration} build; only Release is compiled before it is run.");
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && machine != Machine.Unknown && !RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal),
            $"The libraries are not compiled for {RuntimeInformation.RuntimeIdentifier}.");
        Assert.SkipWhen(IsTurnedOff(), "It was built with CompileReadyToRun=false.");

        using var image = new PEReader(File.OpenRead(library.Location));

        Assert.NotEqual(0, image.PEHeaders.CorHeader!.ManagedNativeHeaderDirectory.Size);
        Assert.Equal((ushort)machine ^ ImageForLinux, (ushort)image.PEHeaders.CoffHeader.Machine);
    }

    private static bool IsTurnedOff() =>
        typeof(ReadyToRunTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Any(static metadata => metadata is { Key: "CompileReadyToRun", Value: "false" });
}
