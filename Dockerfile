# The gateway with the demo family. CPU by default; `--build-arg ACCELERATOR=cuda` takes the CUDA packages and image.
# Not run by the project's tests, which have no Docker engine: treat a first build as untried.
ARG ACCELERATOR=cpu

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
ARG ACCELERATOR
WORKDIR /source
COPY global.json Directory.Build.props Directory.Build.targets Directory.Packages.props .editorconfig ./
COPY src/Checkpoints src/Checkpoints
COPY src/Decoding src/Decoding
COPY src/Gateway src/Gateway
RUN dotnet publish src/Gateway -c Release -p:Accelerator=${ACCELERATOR} -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0 AS runtime-cpu

FROM nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04 AS runtime-cuda
COPY --from=mcr.microsoft.com/dotnet/aspnet:10.0 /usr/share/dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet
ENV PROXYTUNE_ENGINE__EXECUTIONPROVIDER=cuda

FROM runtime-${ACCELERATOR}
WORKDIR /app
COPY --from=build /app .
COPY models models
EXPOSE 8080
ENTRYPOINT ["dotnet", "ProxyTune.Gateway.dll", "--urls", "http://0.0.0.0:8080", "--models", "/app/models"]
