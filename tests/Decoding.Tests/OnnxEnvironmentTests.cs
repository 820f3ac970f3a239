using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests;

public class OnnxEnvironmentTests
{
    /// <summary>Checks that sessions share one thread pool. With separate pools, a pass of the base took twice as long between passes of small models.</summary>
    [Fact]
    public void EnsureCreated_AModelIsLoaded_SessionsShareOneThreadPool()
    {
        string folder = Directory.CreateTempSubdirectory("proxytune-environment-").FullName;
        try
        {
            TinyModel.Write(folder);
            using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new EngineOptions());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        Assert.True(OnnxEnvironment.EnsureCreated());
    }
}
