using System.Net;
using Microsoft.Extensions.DependencyInjection;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

[Collection(GatewayCollection.Name)]
public class HealthTests(RunningGateway gateway)
{
    [Theory]
    [InlineData("/healthz", "ok")]
    [InlineData("/readyz", "ready")]
    public async Task Get_RunningServer_Returns200(string path, string status) =>
        Assert.Equal($$"""{"status":"{{status}}"}""", await gateway.Http.GetStringAsync(path));

    /// <summary>The fault lies outside of everything that a request can make fail.</summary>
    [Fact]
    public async Task Get_DecodeLoopIsBroken_Returns503UntilAStepRuns()
    {
        BrokenModel? model = null;
        RunningGateway own = new(builder => builder.Services.AddSingleton(services => new DecodeScheduler(model = new(services.GetRequiredService<ModelHost>().Ensemble), new())));
        await own.InitializeAsync();
        try
        {
            object body = new { model = TinyFamily.Plain, prompt = "a", max_tokens = 1 };
            await own.AnswerAsync("/v1/completions", body);
            model!.IsBroken = true;
            using (HttpResponseMessage failed = await own.PostAsync("/v1/completions", body))
            {
                Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
            }

            using (HttpResponseMessage broken = await own.Http.GetAsync("/readyz"))
            {
                Assert.Equal((HttpStatusCode.ServiceUnavailable, """{"status":"broken"}"""), (broken.StatusCode, await broken.Content.ReadAsStringAsync()));
            }

            model.IsBroken = false;
            await own.AnswerAsync("/v1/completions", body);
            Assert.Equal("""{"status":"ready"}""", await own.Http.GetStringAsync("/readyz"));
            Assert.Equal(1, own.Statistics.Faults);
        }
        finally
        {
            await own.DisposeAsync();
        }
    }
}
